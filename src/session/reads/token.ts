import { parseJoined, type Position } from '../../gtid/position.ts';
import { LagwiseError, messageOf } from '../../lib/errors.ts';
import { TOKEN_VARIABLE } from '../../sql/lagwise-names.ts';
import type { Flavor } from '../../topology/snapshot.ts';
import type { SessionBackends } from '../servers/session-backends.ts';

/** A position of a healthy cluster has some hundred characters: of one token, and of all together. */
const MAX_TOKEN_CHARS = 16_384;

/** How a session's token is read and brought. */
export interface TokenAccess {
  /**
   * What the session has written and read, as text that its client may carry to another connection,
   * of another proxy too.
   * @throws LagwiseError when no server could be asked what it had shown
   */
  read(): Promise<string>;
  /** What is wrong with a token, for the client; null for nothing. */
  check(value: string | null): string | null;
  /** The session's reads have to see what it says from now on; as `check`. */
  bring(value: string | null): string | null;
}

/** The token of a session on servers of this flavour. */
export function tokenOf(backends: SessionBackends, flavor: Flavor): TokenAccess {
  const taken = (value: string | null) => {
    const { position, problem } = parsed(value, flavor);
    return { position, problem: problem ?? tooMuch(backends, position) };
  };
  return {
    read: () => readToken(backends),
    check: (value) => taken(value).problem,
    bring: (value) => {
      const { position, problem } = taken(value);
      if (problem === null) backends.reads.bring(position);
      return problem;
    },
  };
}

/** Tokens add up: made up ones, which no server ever has, must not do so without end. */
function tooMuch(backends: SessionBackends, position: Position | null): string | null {
  const length = position === null ? 0 : backends.reads.broughtWith(position).text.length;
  return length > MAX_TOKEN_CHARS
    ? `with those brought before it has ${length} characters, expected at most ${MAX_TOKEN_CHARS}: take those back with SET @${TOKEN_VARIABLE} = NULL`
    : null;
}

async function readToken(backends: SessionBackends): Promise<string> {
  const { known, position } = await backends.reads.position();
  if (!known) {
    throw new LagwiseError(
      'no-eligible-server',
      'What this session has read is not known now, since no server could be asked: try again (servers without GTIDs never tell)',
    );
  }
  return position?.text ?? '';
}

function parsed(
  value: string | null,
  flavor: Flavor,
): { readonly position: Position | null; readonly problem: string | null } {
  if (value === null || value.trim() === '') return { position: null, problem: null };
  const problem = (why: string) => ({
    position: null,
    problem: `Cannot set @${TOKEN_VARIABLE}: ${why}`,
  });
  if (value.length > MAX_TOKEN_CHARS) {
    return problem(`it has ${value.length} characters, expected at most ${MAX_TOKEN_CHARS}`);
  }
  try {
    return { position: parseJoined(flavor, value), problem: null };
  } catch (error) {
    return problem(messageOf(error));
  }
}
