/**
 * For so long after a `global` read writes are made known, in case of another. Long against the
 * second or so that it takes to begin, short against the life of an application that has stopped.
 */
export const WANTED_MS = 60_000;
