import { crc32 } from 'node:zlib';
import { CAP, has } from '../../wire/capability.ts';
import { MalformedPacketError } from '../../wire/malformed.ts';
import { EOF } from '../../wire/packets/eof.ts';
import { ERR } from '../../wire/packets/err.ts';
import { LOCAL_INFILE } from '../../wire/packets/local-infile-request.ts';
import { OK } from '../../wire/packets/ok.ts';
import { columnCount, frameLength } from '../../wire/reply-fields.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';

/** Rows of one result, in whatever order they came: equal sums mean equal rows. */
export interface RowsSum {
  readonly rows: number;
  /** Of a 32-bit hash of each: far from where integers end, since replies are short. */
  readonly sum: number;
}

export function sameRows(a: RowsSum, b: RowsSum): boolean {
  return a.rows === b.rows && a.sum === b.sum;
}

/**
 * The sum over the rows of a reply of one result, text or binary. What stands around the rows does
 * not count: sequence ids, descriptions of columns and status differ between servers that show the
 * same. A sum and no chain, since without ORDER BY servers may send rows in any order.
 * @param reply whole, each packet shorter than a frame may be
 * @param caps in force with the client
 * @returns null where it is no result, or more than one
 * @throws MalformedPacketError when it is cut
 */
export function sumRows(reply: Buffer, caps: number): RowsSum | null {
  const first = reply[HEADER_BYTES];
  if (first === OK || first === ERR || first === LOCAL_INFILE) return null;
  const columns = columnCount(reply, HEADER_BYTES, frameLength(reply, 0));
  const before = 1 + columns + (has(caps, CAP.DEPRECATE_EOF) ? 0 : 1);
  let at = 0;
  for (let packet = 0; packet < before; packet += 1) at = endOf(reply, at);
  let [rows, sum] = [0, 0];
  for (;;) {
    const end = endOf(reply, at);
    const body = at + HEADER_BYTES;
    if (reply[body] === ERR) return null;
    // A row that begins so has a value of 16 MB: such replies are not looked at.
    if (reply[body] === EOF) return end === reply.length ? { rows, sum } : null;
    rows += 1;
    sum += mix(crc32(reply.subarray(body, end)));
    at = end;
  }
}

function endOf(reply: Buffer, at: number): number {
  const end = at + HEADER_BYTES <= reply.length ? at + HEADER_BYTES + frameLength(reply, at) : -1;
  if (end <= at + HEADER_BYTES || end > reply.length) {
    throw new MalformedPacketError('A sampled reply is cut');
  }
  return end;
}

/** Murmur's last steps: without them sums of CRCs, which are linear, would cancel out. */
function mix(crc: number): number {
  let mixed = Math.imul(crc ^ (crc >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
