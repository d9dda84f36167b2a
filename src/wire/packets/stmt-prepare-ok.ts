import { CAP, has } from '../capability.ts';
import { ByteCursor } from '../cursor.ts';
import { MalformedPacketError } from '../malformed.ts';
import { PacketWriter } from '../writer.ts';

/** First packet of the answer to COM_STMT_PREPARE; definitions of parameters and columns follow. */
export interface StmtPrepareOk {
  readonly statementId: number;
  readonly columnCount: number;
  readonly parameterCount: number;
  readonly warnings: number;
  /** Whether definitions follow; only where OPTIONAL_RESULTSET_METADATA is in force, else true. */
  readonly metadataFollows: boolean;
}

/** @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html */
export function decodeStmtPrepareOk(payload: Buffer, caps: number): StmtPrepareOk {
  const cursor = new ByteCursor(payload);
  if (cursor.u8() !== 0) throw new MalformedPacketError('Not a COM_STMT_PREPARE answer');
  const statementId = cursor.u32();
  const columnCount = cursor.u16();
  const parameterCount = cursor.u16();
  cursor.skip(1);
  const warnings = cursor.u16();
  const metadataFollows = has(caps, CAP.OPTIONAL_RESULTSET_METADATA) ? cursor.u8() !== 0 : true;
  return { statementId, columnCount, parameterCount, warnings, metadataFollows };
}

/** The packet as a server sends it. */
export function encodeStmtPrepareOk(ok: StmtPrepareOk, seq: number, caps: number): Buffer {
  const writer = new PacketWriter(13)
    .u8(0)
    .u32(ok.statementId)
    .u16(ok.columnCount)
    .u16(ok.parameterCount)
    .u8(0)
    .u16(ok.warnings);
  if (has(caps, CAP.OPTIONAL_RESULTSET_METADATA)) writer.u8(ok.metadataFollows ? 1 : 0);
  return writer.finish(seq);
}
