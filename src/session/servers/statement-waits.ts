/** Whoever waits for a session listens to the signal of the moment when the wait begins. */
export interface Leaving {
  /** Aborted when nobody wants any more what is waited for; with an error where that has a reason. */
  readonly signal: AbortSignal;
}

/** Ends what a session waits for: for good when its client has left, once when a KILL ends a wait. */
export class StatementWaits implements Leaving {
  private controller = new AbortController();

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** The statement that waits fails with this error; the next one may wait again. */
  interrupt(error: Error): void {
    const { controller } = this;
    this.controller = new AbortController();
    controller.abort(error);
  }

  /** The client has left. */
  end(): void {
    this.controller.abort();
  }
}
