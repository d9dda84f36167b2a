/**
 * Where a failure came from. Closed on purpose: one table (`error-policy.ts`) says for each source
 * which MySQL error the client sees, how loudly it is logged and which metric label it has.
 */
export const ERROR_SOURCES = [
  'client-network', // the client's socket failed or closed
  'client-auth', // wrong password, unknown user, login refused by the rate limit
  'client-protocol', // malformed packet, packet out of order, unsupported capability
  'client-timeout', // the client did not speak in time
  'no-eligible-server', // nobody may serve this statement now
  'backend-connect', // a server cannot be reached
  'backend-auth', // a server refused the account
  'backend-network', // a server's socket failed or closed while in use
  'backend-protocol', // a server sent what it may not
  'backend-timeout', // a server did not answer in time
  'topology-change', // the server lost its role while in use
  'limit', // a configured bound was reached
  'shutdown', // the proxy is stopping
  'config', // the configuration is wrong
  'lab', // the local cluster tool failed
  'internal', // a defect of ours
] as const;
export type ErrorSource = (typeof ERROR_SOURCES)[number];

/**
 * The one error class of the project. `message` is safe to show to whoever caused it: it never
 * holds a password or a statement's literals. `cause` is for logs.
 */
export class LagwiseError extends Error {
  readonly source: ErrorSource;

  constructor(source: ErrorSource, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'LagwiseError';
    this.source = source;
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** For the default branch of an exhaustive switch. */
export function assertNever(value: never): never {
  throw new LagwiseError('internal', `Unexpected value ${JSON.stringify(value)}`);
}
