import type { ReplyTap } from '../reply/reply-tap.ts';

/** Longer replies are not compared: what is kept of each is bounded by this. */
export const MAX_REPLY_BYTES = 32 * 1024;

/** A copy of one reply as it went to the client, bounded in length and time. */
export class StalenessTap implements ReplyTap {
  /** Resolves to the whole reply; null where there is none that can be looked at. Never rejects. */
  readonly reply: Promise<Buffer | null>;
  private readonly resolve: (reply: Buffer | null) => void;
  private readonly timer: NodeJS.Timeout;
  private parts: Buffer[] = [];
  private bytes = 0;
  private isOpen = true;

  /** @param timeoutMs a reply that takes longer is given up */
  constructor(timeoutMs: number) {
    const { promise, resolve } = Promise.withResolvers<Buffer | null>();
    this.reply = promise;
    this.resolve = resolve;
    this.timer = setTimeout(() => this.close(), timeoutMs);
  }

  take(bytes: Buffer): void {
    if (!this.isOpen) return;
    this.bytes += bytes.length;
    // A copy: the chunk's memory is used again for the next read.
    if (this.bytes <= MAX_REPLY_BYTES) this.parts.push(Buffer.from(bytes));
    else this.close();
  }

  end(isWhole: boolean): void {
    if (!this.isOpen) return;
    if (isWhole) this.resolve(Buffer.concat(this.parts));
    this.close();
  }

  /** Nothing more is kept of it; without an end the reply is given up. */
  close(): void {
    this.isOpen = false;
    this.parts = [];
    clearTimeout(this.timer);
    this.resolve(null);
  }
}
