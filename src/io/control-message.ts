/** Control messages that carry descriptors: SCM_RIGHTS (unix(7)), as cmsg(3) lays them out on 64-bit Linux. */
import { Buffer } from 'node:buffer';

export const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** size_t length, int level, int type. */
const HEAD_BYTES = 16;
const FD_BYTES = 4;

/** The kernel takes 253 a message (SCM_MAX_FD). */
export const MOST_DESCRIPTORS = 250;
/** Room for a message with as many as the kernel ever passes. */
export const LARGEST_MESSAGE: number = HEAD_BYTES + FD_BYTES * 256;

export function encodeDescriptors(fds: readonly number[]): Buffer {
  const length = HEAD_BYTES + FD_BYTES * fds.length;
  const control = Buffer.alloc(Math.ceil(length / 8) * 8);
  control.writeBigUInt64LE(BigInt(length), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  fds.forEach((fd, i) => {
    control.writeInt32LE(fd, HEAD_BYTES + FD_BYTES * i);
  });
  return control;
}

/** The descriptors in what the kernel wrote; they are this process's from now on. */
export function decodeDescriptors(control: Buffer): number[] {
  const fds: number[] = [];
  for (let at = 0; at + HEAD_BYTES <= control.length; ) {
    const length = Number(control.readBigUInt64LE(at));
    const end = at + length;
    if (length < HEAD_BYTES || end > control.length) break;
    const isRights =
      control.readInt32LE(at + 8) === SOL_SOCKET && control.readInt32LE(at + 12) === SCM_RIGHTS;
    if (isRights)
      for (let fd = at + HEAD_BYTES; fd + FD_BYTES <= end; fd += FD_BYTES) fds.push(control.readInt32LE(fd));
    at += Math.ceil(length / 8) * 8;
  }
  return fds;
}
