/** Writes heartbeat frames octet by octet as docs/protocol.md lays them out, without the codec that is under test. */
import { Buffer } from 'node:buffer';

export const u8 = (value: number): number[] => [value & 0xff];
export const u16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
export const u32 = (value: number): number[] => [
  Math.floor(value / 0x100_0000) & 0xff,
  (value >> 16) & 0xff,
  (value >> 8) & 0xff,
  value & 0xff,
];
export const u64 = (value: bigint): number[] =>
  [56n, 48n, 40n, 32n, 24n, 16n, 8n, 0n].map((shift) => Number((value >> shift) & 0xffn));
/** 32 hex digits. */
export const id = (digits: string): number[] =>
  (digits.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
/** A text element: tag, length, octets. */
export const text = (tag: number, value: string): number[] => {
  const octets = [...new TextEncoder().encode(value)];
  return [...u16(tag), ...u16(octets.length), ...octets];
};

/** A whole frame: length, type, flags, then the parts. */
export function frameBytes(type: number, flags: number, ...parts: readonly (readonly number[])[]): Buffer {
  const payload = parts.flat();
  return Buffer.from([...u32(payload.length + 2), type, flags, ...payload]);
}
