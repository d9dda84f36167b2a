/** Wakes its owner once at a time, for what becomes possible with time alone. */
export class WakeUp {
  private readonly wake: () => void;
  private timer: NodeJS.Timeout | null = null;

  constructor(wake: () => void) {
    this.wake = wake;
  }

  /** Whether it will wake its owner. */
  get isSet(): boolean {
    return this.timer !== null;
  }

  /** Wakes the owner just past `atMs` (monotonic), unless it is set already. */
  set(atMs: number): void {
    if (this.timer !== null) return;
    const inMs = Math.max(0, Math.ceil(atMs - performance.now())) + 1;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.wake();
    }, inMs);
    this.timer.unref();
  }

  cancel(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}
