import { createServer } from 'node:net';
import { LagwiseError } from '../lib/errors.ts';

/**
 * Below the range from which systems take the local ports of outgoing connections: a port of a
 * killed server must still be free when it is started again.
 */
const FIRST_PORT = 20_000;
const PORT_COUNT = 12_000;
const MAX_TRIES = 200;

/** Ports of the loopback address that nobody listens on, chosen at random. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries > MAX_TRIES) throw new LagwiseError('lab', `No ${count} free ports were found`);
    const port = FIRST_PORT + Math.floor(Math.random() * PORT_COUNT);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

/** Throws, with what to do, when somebody already listens on one of the ports. */
export async function requireFree(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    if (await isFree(port)) continue;
    throw new LagwiseError(
      'lab',
      `Port ${port} is in use: stop what listens there (another lab?) or choose another base port`,
    );
  }
}

/** Whether nobody listens on this port of the loopback address. */
export function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
    server.close(() => resolve(true));
  });
  return promise;
}
