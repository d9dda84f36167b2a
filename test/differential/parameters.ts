import { CAP, has } from '../../src/wire/capability.ts';
import { COM } from '../../src/wire/command.ts';
import { PacketWriter } from '../../src/wire/writer.ts';
import type { Parameter, ParameterType } from './script.ts';

/** Field types of the protocol; 0x8000 says unsigned. */
const CODES: Readonly<Record<ParameterType, number>> = {
  tiny: 0x01,
  long: 0x03,
  unsigned: 0x8003,
  longlong: 0x08,
  double: 0x05,
  decimal: 0xf6,
  string: 0xfd,
  blob: 0xfc,
  date: 0x0a,
  datetime: 0x0c,
};

export interface Execution {
  readonly id: number;
  readonly params: readonly Parameter[];
  /** Indexes whose data came by COM_STMT_SEND_LONG_DATA. */
  readonly long: ReadonlySet<number>;
  readonly types: boolean;
  readonly cursor: boolean;
  readonly caps: number;
}

/** COM_STMT_EXECUTE with its header. */
export function encodeExecution(given: Execution): Buffer {
  const { id, params, long, caps } = given;
  const writer = new PacketWriter()
    .u8(COM.STMT_EXECUTE)
    .u32(id)
    .u8(given.cursor ? 1 : 0)
    .u32(1);
  if (has(caps, CAP.QUERY_ATTRIBUTES)) throw new Error('Query attributes are not written here');
  if (params.length === 0) return writer.finish(0);
  const nulls = Buffer.alloc((params.length + 7) >>> 3);
  for (const [index, [, value]] of params.entries()) {
    if (value !== null || long.has(index)) continue;
    nulls.writeUInt8(nulls.readUInt8(index >> 3) | (1 << (index & 7)), index >> 3);
  }
  writer.bytes(nulls).u8(given.types ? 1 : 0);
  if (given.types) for (const [type] of params) writer.u16(CODES[type]);
  for (const [index, [type, value]] of params.entries()) {
    if (value !== null && !long.has(index)) writeValue(writer, type, value);
  }
  return writer.finish(0);
}

function writeValue(writer: PacketWriter, type: ParameterType, value: string | number): void {
  const number = Number.isFinite(Number(value)) ? Number(value) : 0;
  switch (type) {
    case 'tiny':
      writer.u8(number & 0xff);
      return;
    case 'long':
    case 'unsigned':
      writer.u32(number);
      return;
    case 'longlong':
      writer.u64(BigInt.asUintN(64, BigInt(Math.trunc(number))));
      return;
    case 'double': {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(number);
      writer.bytes(bytes);
      return;
    }
    case 'date':
    case 'datetime':
      writeTime(writer, String(value));
      return;
    case 'decimal':
      writer.lenencString(String(number));
      return;
    case 'string':
    case 'blob':
      writer.lenencString(String(value));
  }
}

/** Four bytes for a date, seven with a time, none for what is no date. */
function writeTime(writer: PacketWriter, value: string): void {
  const numbers = value.split(/[^0-9]+/, 6).map(Number);
  const [year = 0, month = 0, day = 0, hour, minute = 0, second = 0] = numbers;
  if (numbers.length < 3) {
    writer.u8(0);
    return;
  }
  writer
    .u8(hour === undefined ? 4 : 7)
    .u16(year)
    .u8(month)
    .u8(day);
  if (hour !== undefined) writer.u8(hour).u8(minute).u8(second);
}
