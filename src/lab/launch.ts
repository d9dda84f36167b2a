import { LagwiseError } from '../lib/errors.ts';
import { freePorts, isFree } from './free-ports.ts';
import type { ServerRecord } from './lab-state.ts';
import { waitAnswers } from './replication.ts';
import type { ServerHost } from './server-host.ts';

const START_DEADLINE_MS = 60_000;
const PORT_TRIES = 3;

/**
 * Starts a server and returns when it answers.
 * @throws LagwiseError with the end of the server's log
 */
export async function launch(server: ServerRecord, host: ServerHost): Promise<void> {
  await host.launch(server);
  const runs = async () => (await host.state(server)) !== 'stopped';
  try {
    await waitAnswers(host.rootAccess(server), START_DEADLINE_MS, runs);
  } catch (error) {
    const tail = await host.logTail(server);
    throw new LagwiseError('lab', `${server.id} did not start; its log ends with:\n${tail}`, {
      cause: error,
    });
  }
}

/** Options of {@link launchNew}. */
export interface NewServerOptions {
  /** It may take another port where somebody else has taken its own. */
  readonly anyPort: boolean;
  readonly say: (text: string) => void;
  /** Including this one. */
  readonly tries?: number;
}

/**
 * Starts a server on new data. Between the moment in which a port is found free and that in which a
 * server listens on it somebody else may take it, another lab most likely.
 */
export async function launchNew(
  server: ServerRecord,
  host: ServerHost,
  { anyPort, say, tries = PORT_TRIES }: NewServerOptions,
): Promise<void> {
  await host.createData(server);
  try {
    await launch(server, host);
  } catch (error) {
    const isHopeless = !anyPort || tries <= 1 || (await isFree(server.port));
    const [port] = isHopeless ? [] : await freePorts(1);
    if (port === undefined) throw error;
    say(`Port ${server.port} was taken meanwhile: ${server.id} takes ${port}`);
    server.port = port;
    await launchNew(server, host, { anyPort, say, tries: tries - 1 });
  }
}
