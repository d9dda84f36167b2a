import type { Config } from '../../config/schema.ts';

/** Addresses remembered at most; beyond it the oldest are forgotten, so a flood costs no memory. */
const MAX_ADDRESSES = 10_000;

interface Failures {
  count: number;
  windowEndsMs: number;
  blockedUntilMs: number;
}

/** Counts failed logins by client address and blocks an address that has too many. */
export class LoginLimiter {
  private readonly options: Config['auth'];
  private readonly byAddress = new Map<string, Failures>();

  constructor(options: Config['auth']) {
    this.options = options;
  }

  /** How long the address is still blocked; 0 when it may log in. */
  blockedForMs(address: string, nowMs: number): number {
    const failures = this.byAddress.get(address);
    return failures === undefined ? 0 : Math.max(0, failures.blockedUntilMs - nowMs);
  }

  /** Notes a failure. Returns whether it got the address blocked. */
  failed(address: string, nowMs: number): boolean {
    let failures = this.byAddress.get(address);
    if (failures === undefined || failures.windowEndsMs <= nowMs) {
      failures = { count: 0, windowEndsMs: nowMs + this.options.windowMs, blockedUntilMs: 0 };
      // Re-inserted at the end: the map's order is the order of age.
      this.byAddress.delete(address);
      this.byAddress.set(address, failures);
      this.forgetOldest();
    }
    failures.count += 1;
    if (failures.count < this.options.maxFailures) return false;
    failures.blockedUntilMs = nowMs + this.options.blockMs;
    failures.windowEndsMs = failures.blockedUntilMs;
    return failures.count === this.options.maxFailures;
  }

  private forgetOldest(): void {
    if (this.byAddress.size <= MAX_ADDRESSES) return;
    for (const address of this.byAddress.keys()) {
      this.byAddress.delete(address);
      return;
    }
  }
}
