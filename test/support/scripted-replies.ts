import { CAP, has } from '../../src/wire/capability.ts';
import { encodeEof } from '../../src/wire/packets/eof.ts';
import { encodeErr } from '../../src/wire/packets/err.ts';
import { encodeOk, type OkPacket } from '../../src/wire/packets/ok.ts';
import {
  encodeSessionState,
  type SessionStateEntry,
} from '../../src/wire/packets/session-state.ts';
import { encodeStmtPrepareOk } from '../../src/wire/packets/stmt-prepare-ok.ts';
import { STATUS } from '../../src/wire/status.ts';
import { encodeTextResultset } from '../../src/wire/text-resultset.ts';
import { PacketWriter } from '../../src/wire/writer.ts';

/** What decides the form of a server's reply. */
export interface ReplyForm {
  readonly caps: number;
  readonly status: number;
}

/** An OK packet as the answer to a command. */
export function ok(form: ReplyForm, given: Partial<OkPacket> = {}): Buffer {
  return encodeOk({ status: form.status, ...given }, 1, form);
}

/** An OK packet that reports changes of session state. */
export function okWithState(form: ReplyForm, entries: readonly SessionStateEntry[]): Buffer {
  return ok(form, { sessionState: encodeSessionState(entries) });
}

/** The trackers' report of a system variable. */
export const variable = (name: string, value: string): SessionStateEntry => ({
  t: 'system-variable',
  name,
  value,
});

/** An ERR packet as the answer to a command. */
export function err(code: number, message = 'Scripted error', sqlState = 'HY000'): Buffer {
  return encodeErr({ code, sqlState, message }, 1);
}

/** What a server says that takes no writes. */
export const READ_ONLY = err(
  1290,
  'The MySQL server is running with the --super-read-only option so it cannot execute this statement',
);

/** One row of one text column. */
export function row(form: ReplyForm, value: string, column = 'v'): Buffer {
  return rows(form, [column], [[value]]);
}

/** Text rows. */
export function rows(
  { caps, status }: ReplyForm,
  columns: readonly string[],
  values: readonly (readonly (string | null)[])[],
): Buffer {
  return encodeTextResultset({ columns, rows: values }, { seq: 1, caps, status });
}

/** The results of several statements in one reply: sequence ids run on, MORE_RESULTS is set. */
export function several(form: ReplyForm, results: readonly ((part: SeqForm) => Buffer)[]): Buffer {
  let seq = 1;
  const parts = results.map((make, index) => {
    const isLast = index === results.length - 1;
    const status = isLast ? form.status : form.status | STATUS.MORE_RESULTS_EXISTS;
    const part = make({ caps: form.caps, status, seq });
    seq = (seq + countPackets(part)) & 0xff;
    return part;
  });
  return Buffer.concat(parts);
}

export interface SeqForm extends ReplyForm {
  readonly seq: number;
}

/** The number of frames in framed bytes. */
function countPackets(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUIntLE(at, 3)) count += 1;
  return count;
}

/** The answer to COM_STMT_PREPARE with definitions as they are due. */
export function prepared(
  form: ReplyForm,
  given: { statementId: number; parameters: number; columns?: number },
): Buffer {
  const columns = given.columns ?? 0;
  const packets = [
    encodeStmtPrepareOk(
      {
        statementId: given.statementId,
        columnCount: columns,
        parameterCount: given.parameters,
        warnings: 0,
        metadataFollows: true,
      },
      1,
      form.caps,
    ),
  ];
  for (const count of [given.parameters, columns]) {
    for (let index = 0; index < count; index += 1) packets.push(definition(packets.length + 1));
    if (count > 0 && !has(form.caps, CAP.DEPRECATE_EOF)) {
      packets.push(encodeEof({ warnings: 0, status: form.status }, packets.length + 1));
    }
  }
  return Buffer.concat(packets);
}

/** A column definition as a server sends it. */
export function definition(seq: number, name = 'p'): Buffer {
  return new PacketWriter()
    .lenencString('def')
    .lenencString('')
    .lenencString('')
    .lenencString('')
    .lenencString(name)
    .lenencString('')
    .lenenc(0x0c)
    .u16(45)
    .u32(1024)
    .u8(0xfd)
    .u16(0)
    .u8(0x1f)
    .zeros(2)
    .finish(seq);
}
