/**
 * A peer sent bytes that are not the packet they should be: cut short, too long, out of sequence.
 * The codec does not know on which side the peer stands; callers turn this into a `LagwiseError`
 * of source `client-protocol` or `backend-protocol`. The message never holds bytes of the packet.
 */
export class MalformedPacketError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'MalformedPacketError';
  }
}
