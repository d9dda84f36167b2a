import type { ClassifyContext } from '../sql/classification.ts';
import { digestText } from '../sql/digest.ts';

/**
 * Bytes of a statement that are read for its sample: a bulk insert of a MiB would hold up the
 * others for 10 ms only to be cut. What begins alike is read alike, so the cut shows no literal:
 * one that is not closed ends the text.
 */
const MAX_BYTES = 8192;
/** Characters of a sample. */
const MAX_LENGTH = 1024;

/**
 * A statement as it may be shown in statistics: its beginning, normalized, without literals and
 * comments. Off the hot path: once for each digest.
 */
export function digestSample(
  buf: Buffer,
  start: number,
  end: number,
  context: ClassifyContext,
): string {
  return digestText(buf, start, Math.min(end, start + MAX_BYTES), context).slice(0, MAX_LENGTH);
}
