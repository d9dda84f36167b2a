/**
 * Resolves at the first of these signals, and stops listening: a further one does what it does by
 * default. Call it before anybody is told that there is something to end.
 */
export function signalled(signals: readonly NodeJS.Signals[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const onSignal = () => {
    for (const signal of signals) process.off(signal, onSignal);
    resolve();
  };
  for (const signal of signals) process.on(signal, onSignal);
  return promise;
}
