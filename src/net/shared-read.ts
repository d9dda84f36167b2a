import { Socket } from 'node:net';
import { SocketStream } from './byte-stream.ts';
import { copyOfRead, READ_BYTES } from './read-chunks.ts';
import { handleOf, STREAM_WRAP } from './stream-wrap.ts';

/**
 * Where sockets read into, one after the other. Without it Node allocates 64 KiB for each read to
 * give most of them back, which costs a tenth of a proxied point select.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(READ_BYTES);

/** Options of a socket that reads into the shared buffer, and where its bytes go. */
export function sharedRead(): {
  readonly onread: OnRead;
  readonly bind: (stream: SocketStream) => void;
} {
  let target: SocketStream | null = null;
  return {
    onread: {
      buffer: READ_BUFFER,
      callback: (bytes) => {
        // A copy: the next read of whatever connection overwrites the buffer.
        target?.deliver(copyOfRead(READ_BUFFER.subarray(0, bytes)));
        return true;
      },
    },
    bind: (stream) => {
      target = stream;
    },
  };
}

interface OnRead {
  readonly buffer: Buffer;
  readonly callback: (bytes: number) => boolean;
}

/**
 * The stream of a socket that a server has just accepted (with `pauseOnConnect`). Servers of
 * `node:net` have no `onread` option for the sockets they make, so the connection is taken over by
 * a socket that has: by its handle, which is no documented API. Where that is not to be had the
 * accepted socket itself serves, only slower.
 */
export function acceptedStream(accepted: Socket): SocketStream {
  const handle = handleOf(accepted);
  if (handle === null) return new SocketStream(accepted);
  const { onread, bind } = sharedRead();
  const options: object = { handle, onread };
  const socket = new Socket(options);
  Reflect.set(accepted, '_handle', null);
  const stream = new SocketStream(socket);
  bind(stream);
  readDirectly(stream);
  return stream;
}

/** What Node calls with what it has read. */
type OnStreamRead = (this: object, memory: ArrayBuffer | undefined) => Uint8Array | undefined;

/** The stream that a handle's bytes go to. */
const STREAM = Symbol('stream');

interface ReadableHandle {
  onread: OnStreamRead;
  [STREAM]?: SocketStream;
}

/**
 * Has a connected socket that reads into the shared buffer (see {@link sharedRead}) hand over its
 * bytes without looking at its timers, at its state as two streams, and at whose turn it is: with
 * many sessions that is memory which is in no cache any more. What is no data, as the end and
 * errors are, takes Node's own way.
 */
export function readDirectly(stream: SocketStream): void {
  const handle = handleOf(stream.socket);
  if (STREAM_WRAP === null || handle === null || !isReadable(handle)) return;
  if (handle.onread === onReadDirectly) return;
  nodesOnRead = handle.onread;
  handle[STREAM] = stream;
  handle.onread = onReadDirectly;
}

/** The same for all sockets. */
let nodesOnRead: OnStreamRead | null = null;

function onReadDirectly(this: object, memory: ArrayBuffer | undefined): Uint8Array | undefined {
  const { [STREAM]: stream } = this as ReadableHandle;
  const bytes =
    STREAM_WRAP === null ? 0 : (STREAM_WRAP.streamBaseState[STREAM_WRAP.kReadBytesOrError] ?? 0);
  if (bytes > 0 && stream !== undefined) {
    stream.deliver(copyOfRead(READ_BUFFER.subarray(0, bytes)));
    return undefined;
  }
  return nodesOnRead === null ? undefined : Reflect.apply(nodesOnRead, this, [memory]);
}

function isReadable(handle: object): handle is ReadableHandle {
  return 'onread' in handle && typeof handle.onread === 'function';
}
