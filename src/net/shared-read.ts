import { Socket } from 'node:net';
import { SocketStream } from './byte-stream.ts';
import { copyOfRead, READ_BYTES } from './read-chunks.ts';

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
  const handle: unknown = Reflect.get(accepted, '_handle');
  if (typeof handle !== 'object' || handle === null) return new SocketStream(accepted);
  const { onread, bind } = sharedRead();
  const options: object = { handle, onread };
  const socket = new Socket(options);
  Reflect.set(accepted, '_handle', null);
  const stream = new SocketStream(socket);
  bind(stream);
  return stream;
}
