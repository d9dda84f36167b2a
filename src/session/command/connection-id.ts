/** Longer statements ask for more than this. */
const MAX_TEXT_BYTES = 256;
const ASKS =
  /^\s*(?:\/\*[^*]*\*\/\s*)?select\s+(connection_id\s*\(\s*\))(?:\s+(?:as\s+)?(?:([a-z_]\w*)|`([^`]+)`|'([^']+)'|"([^"]+)"))?\s*;?\s*$/i;

/**
 * The column's title where a statement asks for CONNECTION_ID() and nothing else, an alias apart;
 * null for any other. Off the hot path: asked only where the classifier has seen that function.
 */
export function connectionIdTitle(bytes: Buffer, textAt: number): string | null {
  if (bytes.length - textAt > MAX_TEXT_BYTES) return null;
  const asked = ASKS.exec(bytes.toString('utf8', textAt));
  if (asked === null) return null;
  const [, written, ...aliases] = asked;
  return aliases.find((alias) => alias !== undefined) ?? written ?? null;
}

/** Whether it is the proxy that has the answer: its id is the one that KILL takes. */
export const asksConnectionId = (bytes: Buffer, textAt: number): boolean =>
  connectionIdTitle(bytes, textAt) !== null;
