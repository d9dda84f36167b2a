import { messageOf } from '../lib/errors.ts';
import { serverId } from '../lib/ids.ts';
import type { Role, ServerView, Snapshot } from '../topology/snapshot.ts';

/** What a running proxy says of its servers, or why it cannot be asked. */
export type AdminAnswer =
  | {
      readonly t: 'ok';
      readonly snapshot: Snapshot;
      /** Why a replica has refused statements of a digest; a digest that is missing was not refused. */
      readonly learned: ReadonlyMap<string, string>;
    }
  | { readonly t: 'failed'; readonly why: string };

const TIMEOUT_MS = 2000;
/** 256 servers take about 200 kB. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** Asks a running proxy. @param base such as `http://127.0.0.1:6080` */
export async function askAdmin(base: string): Promise<AdminAnswer> {
  try {
    const snapshot = snapshotOf(await get(new URL('/api/servers', base)));
    if (snapshot === null) return { t: 'failed', why: 'it does not answer as Lagwise does' };
    // An older proxy learns nothing; that is no reason to show no servers.
    const learned = await get(new URL('/api/learned', base)).then(learnedOf, () => new Map());
    return { t: 'ok', snapshot, learned };
  } catch (thrown) {
    const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
    return { t: 'failed', why: messageOf(cause) };
  }
}

async function get(url: URL): Promise<unknown> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    redirect: 'error',
    headers: { accept: 'application/json' },
  });
  if (!response.ok) throw new Error(`it answers with status ${response.status}`);
  if (Number(response.headers.get('content-length') ?? 0) > MAX_ANSWER_BYTES) {
    throw new Error('its answer is too long');
  }
  return response.json();
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
}

function listOf(value: unknown): readonly unknown[] | null {
  return Array.isArray(value) ? value : null;
}

function snapshotOf(value: unknown): Snapshot | null {
  const fields = fieldsOf(value);
  const list = listOf(fields?.['servers']);
  if (fields === null || list === null) return null;
  const servers: ServerView[] = [];
  for (const each of list) {
    const server = serverOf(fieldsOf(each));
    if (server === null) return null;
    servers.push(server);
  }
  return {
    version: numberOf(fields['version']) ?? 0,
    epoch: numberOf(fields['epoch']) ?? 0,
    servers,
    primary: servers.find(({ role }) => role === 'primary') ?? null,
    noPrimary: textOf(fields['noPrimary']),
  };
}

const ROLES: readonly Role[] = ['primary', 'replica', 'unassigned', 'down'];

function serverOf(fields: Fields | null): ServerView | null {
  const id = textOf(fields?.['id']);
  const role = ROLES.find((each) => each === fields?.['role']);
  if (fields === null || id === null || role === undefined) return null;
  const flavor = fields['flavor'];
  const lagMs = numberOf(fields['lagMs']);
  const why = textOf(fields['lagUnknownBecause']) ?? 'it does not say why';
  return {
    id: serverId(id),
    host: textOf(fields['host']) ?? '',
    port: numberOf(fields['port']) ?? 0,
    tags: [],
    zone: textOf(fields['zone']),
    weight: numberOf(fields['weight']) ?? 1,
    role,
    flavor: flavor === 'mysql' || flavor === 'mariadb' ? flavor : null,
    version: textOf(fields['version']),
    readOnly: null,
    lag: lagMs === null ? { t: 'unknown', why } : { t: 'known', lagMs, method: 'gtid' },
    replicating: null,
    // Only for reads of a session that has not written: any moment will do.
    caughtUpToMs: 0,
    gtidSet: null,
    seenAtMs: -1,
    ineligible: textOf(fields['ineligible']),
  };
}

function learnedOf(value: unknown): ReadonlyMap<string, string> {
  const rows = listOf(fieldsOf(value)?.['learned']) ?? [];
  return new Map(
    rows.flatMap((row): [string, string][] => {
      const fields = fieldsOf(row);
      const digest = textOf(fields?.['digest']);
      const why = textOf(fields?.['why']);
      return digest === null || why === null ? [] : [[digest, why]];
    }),
  );
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const numberOf = (value: unknown): number | null => (typeof value === 'number' ? value : null);
