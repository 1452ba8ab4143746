/**
 * Reads an object of BPF programs as clang writes it (ELF64, little-endian, machine 247): the code of each program, where
 * maps are named in it, the shapes of the maps, and the licence.
 */
import { Buffer } from 'node:buffer';

const SHT_SYMTAB = 2;
const SHT_REL = 9;
const EM_BPF = 247;
const R_BPF_64_64 = 1;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 16;
/** struct map of the source: type, key, value, entries, flags. */
const MAP_BYTES = 20;
const INSTRUCTION_BYTES = 8;
/** BPF_LD | BPF_IMM | BPF_DW, and what its source register says of the value: a descriptor of a map. */
const LOAD_64 = 0x18;
const PSEUDO_MAP_FD = 1;
/** Where the sections of programs begin. */
const PROGRAM_SECTION = 'cgroup/';

/** What the kernel makes a map of (bpf(2), BPF_MAP_CREATE). */
export interface ObjectMap {
  readonly name: string;
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entries: number;
  readonly flags: number;
}

export interface ObjectProgram {
  /** What follows `cgroup/` in the name of its section. */
  readonly name: string;
  readonly code: Buffer;
  /** Offsets of the instructions that load a map. */
  readonly uses: readonly { readonly offset: number; readonly map: string }[];
}

export interface BpfObject {
  readonly programs: readonly ObjectProgram[];
  readonly maps: readonly ObjectMap[];
  readonly license: string;
}

interface Section {
  readonly name: string;
  readonly type: number;
  readonly body: Buffer;
  /** sh_info; for relocations the section they are about. */
  readonly info: number;
}

interface ElfSymbol {
  readonly name: string;
  readonly section: number;
  readonly value: number;
}

/** Reads the object. Throws RangeError on anything that is none, or has what the loader does not know. */
export function readBpfObject(file: Buffer): BpfObject {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) {
    throw new RangeError('not a 64-bit little-endian ELF file');
  }
  if (file.readUInt16LE(18) !== EM_BPF) throw new RangeError('not an object of BPF programs');
  const sections = readSections(file);
  const symbols = readSymbols(file, sections);
  const mapSection = sections.findIndex(({ name }) => name === 'maps');
  const license = sections.find(({ name }) => name === 'license')?.body;
  return {
    maps: symbols
      .filter(({ name, section }) => section === mapSection && name !== '')
      .map(({ name, value }) => readMap(name, sections[mapSection]?.body ?? Buffer.alloc(0), value)),
    programs: sections.flatMap((section, index) =>
      section.name.startsWith(PROGRAM_SECTION)
        ? [readProgram(section, index, sections, symbols, mapSection)]
        : [],
    ),
    license: text(license ?? Buffer.from('\0'), 0),
  };
}

function readSections(file: Buffer): Section[] {
  const at = Number(file.readBigUInt64LE(40));
  const count = file.readUInt16LE(60);
  const headers = Array.from({ length: count }, (_, index) =>
    part(file, at + index * SECTION_HEADER_BYTES, SECTION_HEADER_BYTES),
  );
  const body = (header: Buffer): Buffer =>
    part(file, Number(header.readBigUInt64LE(24)), Number(header.readBigUInt64LE(32)));
  const names = headers[file.readUInt16LE(62)];
  if (names === undefined) throw new RangeError('no section names');
  const nameTable = body(names);
  return headers.map((header) => ({
    name: text(nameTable, header.readUInt32LE(0)),
    type: header.readUInt32LE(4),
    body: body(header),
    info: header.readUInt32LE(44),
  }));
}

function readSymbols(file: Buffer, sections: readonly Section[]): ElfSymbol[] {
  const index = sections.findIndex(({ type }) => type === SHT_SYMTAB);
  const table = sections[index];
  if (table === undefined) throw new RangeError('no symbols');
  const header = Number(file.readBigUInt64LE(40)) + index * SECTION_HEADER_BYTES;
  const names = sections[file.readUInt32LE(header + 40)]?.body;
  if (names === undefined) throw new RangeError('no symbol names');
  return Array.from({ length: Math.floor(table.body.length / SYMBOL_BYTES) }, (_, at) => {
    const symbol = part(table.body, at * SYMBOL_BYTES, SYMBOL_BYTES);
    return {
      name: text(names, symbol.readUInt32LE(0)),
      section: symbol.readUInt16LE(6),
      value: Number(symbol.readBigUInt64LE(8)),
    };
  });
}

function readMap(name: string, body: Buffer, at: number): ObjectMap {
  const fields = part(body, at, MAP_BYTES);
  const [type = 0, keyBytes = 0, valueBytes = 0, entries = 0, flags = 0] = [0, 4, 8, 12, 16].map((offset) =>
    fields.readUInt32LE(offset),
  );
  return { name, type, keyBytes, valueBytes, entries, flags };
}

function readProgram(
  { name, body }: Section,
  index: number,
  sections: readonly Section[],
  symbols: readonly ElfSymbol[],
  mapSection: number,
): ObjectProgram {
  const relocations = sections.filter(({ type, info }) => type === SHT_REL && info === index);
  const uses = relocations.flatMap((section) =>
    Array.from({ length: Math.floor(section.body.length / RELOCATION_BYTES) }, (_, at) => {
      const relocation = part(section.body, at * RELOCATION_BYTES, RELOCATION_BYTES);
      const offset = Number(relocation.readBigUInt64LE(0));
      const symbol = symbols[relocation.readUInt32LE(12)];
      if (
        relocation.readUInt32LE(8) !== R_BPF_64_64 ||
        symbol === undefined ||
        symbol.section !== mapSection
      ) {
        throw new RangeError(`${name} refers to something that is no map`);
      }
      if (part(body, offset, 2 * INSTRUCTION_BYTES)[0] !== LOAD_64) {
        throw new RangeError(`${name} names a map where none is loaded`);
      }
      return { offset, map: symbol.name };
    }),
  );
  return { name: name.slice(PROGRAM_SECTION.length), code: body, uses };
}

/** The code with the descriptors of the maps in place. Throws RangeError when one is missing. */
export function linkProgram({ name, code, uses }: ObjectProgram, maps: ReadonlyMap<string, number>): Buffer {
  const linked = Buffer.from(code);
  for (const { offset, map } of uses) {
    const fd = maps.get(map);
    if (fd === undefined) throw new RangeError(`${name} needs map "${map}"`);
    linked.writeUInt8(((linked[offset + 1] ?? 0) & 0x0f) | (PSEUDO_MAP_FD << 4), offset + 1);
    linked.writeInt32LE(fd, offset + 4);
  }
  return linked;
}

function part(buffer: Buffer, at: number, bytes: number): Buffer {
  if (at < 0 || bytes < 0 || at + bytes > buffer.length) throw new RangeError('object ends too early');
  return buffer.subarray(at, at + bytes);
}

function text(buffer: Buffer, at: number): string {
  const end = buffer.indexOf(0, at);
  if (end === -1) throw new RangeError('text without an end');
  return buffer.toString('utf8', at, end);
}
