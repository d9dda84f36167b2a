import { HEADER_BYTES, MAX_FRAME_BYTES } from '../../wire/writer.ts';

/** What ends a run of frames. */
export const UNTIL = {
  /** A frame that is not full: the end of one long packet. */
  SHORT_FRAME: 0,
  /** An empty frame: the end of a file that the client sends. */
  EMPTY_FRAME: 1,
} as const;
export type Until = (typeof UNTIL)[keyof typeof UNTIL];

/**
 * Finds the end of a run of frames in bytes that come in any pieces, keeping none of them; numbers
 * the frames anew, in place, where that is asked for.
 */
export class FrameWalker {
  /** Sequence id of the last frame whose header was seen. */
  lastSeq = 0;
  private until: Until = UNTIL.SHORT_FRAME;
  private left = 0;
  private isLast = false;
  private headerBytes = 0;
  private length = 0;
  /** Id that the next frame is given in place of its own; null where it keeps that. */
  private nextSeq: number | null = null;

  /** @param firstSeq from which the frames are numbered anew, null for them to stay as they are */
  begin(until: Until, firstSeq: number | null = null): void {
    this.until = until;
    this.nextSeq = firstSeq;
    this.left = 0;
    this.isLast = false;
    this.headerBytes = 0;
    this.length = 0;
  }

  /** Index behind the run's last byte in `chunk`, or -1 if the run goes on. */
  walk(chunk: Buffer, from: number): number {
    let at = from;
    for (;;) {
      const taken = Math.min(this.left, chunk.length - at);
      at += taken;
      this.left -= taken;
      if (this.left > 0) return -1;
      if (this.isLast) return at;
      if (at === chunk.length) return -1;
      this.header(chunk, at);
      at += 1;
      if (this.isLast && this.left === 0) return at;
    }
  }

  private header(chunk: Buffer, at: number): void {
    const byte = chunk[at] as number;
    if (this.headerBytes < HEADER_BYTES - 1) {
      this.length |= byte << (8 * this.headerBytes);
      this.headerBytes += 1;
      return;
    }
    this.lastSeq = this.nextSeq ?? byte;
    if (this.nextSeq !== null) {
      chunk[at] = this.nextSeq;
      this.nextSeq = (this.nextSeq + 1) & 0xff;
    }
    this.left = this.length;
    this.isLast =
      this.until === UNTIL.EMPTY_FRAME ? this.length === 0 : this.length < MAX_FRAME_BYTES;
    this.headerBytes = 0;
    this.length = 0;
  }
}
