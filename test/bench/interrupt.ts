import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Aborts at Ctrl-C and its kin, so that what was started is ended in order. A second signal ends
 * this process at once; the system then ends its children.
 */
export function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      process.exitCode = 128 + constants.signals[signal];
      if (controller.signal.aborted) process.exit();
      process.stderr.write(`\n${signal}: stopping\n`);
      controller.abort(new Error(`Interrupted by ${signal}`));
    });
  }
  return controller.signal;
}
