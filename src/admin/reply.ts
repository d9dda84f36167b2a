/** What a request is answered with. */
export interface Reply {
  readonly status: number;
  readonly body: string;
  /** Default: JSON. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a request asks beside its method and path. */
export interface Question {
  /** The last part of the path where a route has it as a parameter; else empty. */
  readonly rest: string;
  readonly query: URLSearchParams;
}

/** A reply with a value as readable JSON. */
export function json(status: number, value: unknown): Reply {
  return { status, body: `${JSON.stringify(value, null, 2)}\n` };
}
