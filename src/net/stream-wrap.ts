/** What a write is known by until all of it is sent. */
export interface WriteRequest {
  /** Called when all of it is sent, if it was not at once; a negative status is an error. */
  oncomplete?: (status: number) => void;
}

/** What Node's own sockets are made with. */
export interface StreamWrap {
  readonly WriteWrap: new () => WriteRequest;
  /** What the last call of, or by, a handle came to. */
  readonly streamBaseState: Int32Array;
  /** Where in that state stands whether the last write was not done at once. */
  readonly kLastWriteWasAsync: number;
  /** Where in that state stands how many bytes were read; negative for an error. */
  readonly kReadBytesOrError: number;
}

/**
 * The part of Node below its sockets, for {@link DirectWriter} and `readDirectly`; null where it is
 * not to be had. Neither `process.binding` nor the handle of a socket is documented API: whoever
 * uses them must do without, too, only slower.
 */
export const STREAM_WRAP: StreamWrap | null = streamWrap();

/** The handle of a socket, with the members that the caller then has to look for. */
export function handleOf(socket: object): object | null {
  const handle: unknown = Reflect.get(socket, '_handle');
  return typeof handle === 'object' ? handle : null;
}

function streamWrap(): StreamWrap | null {
  const binding: unknown = Reflect.get(process, 'binding');
  if (typeof binding !== 'function') return null;
  try {
    const found: unknown = Reflect.apply(binding, process, ['stream_wrap']);
    return isStreamWrap(found) ? found : null;
  } catch {
    // Node's permission model forbids it: sockets are used as everybody does.
    return null;
  }
}

function isStreamWrap(found: unknown): found is StreamWrap {
  if (typeof found !== 'object' || found === null) return false;
  return (
    'WriteWrap' in found &&
    typeof found.WriteWrap === 'function' &&
    'streamBaseState' in found &&
    found.streamBaseState instanceof Int32Array &&
    'kLastWriteWasAsync' in found &&
    typeof found.kLastWriteWasAsync === 'number' &&
    'kReadBytesOrError' in found &&
    typeof found.kReadBytesOrError === 'number'
  );
}
