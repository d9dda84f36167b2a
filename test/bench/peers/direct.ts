import type { Target, TargetContext } from '../target.ts';

/** No proxy: one replica for reads, the primary for writes. */
export function startDirect({ lab }: TargetContext): Promise<Target> {
  const replica = lab.servers.find((server) => server.role === 'replica') ?? lab.primary;
  return Promise.resolve({
    name: 'direct',
    version: lab.version,
    readPort: replica.port,
    writePort: lab.primary.port,
    pid: null,
    ended: () => null,
    logTail: () => Promise.resolve(''),
    stop: () => Promise.resolve(),
  });
}
