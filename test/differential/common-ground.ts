import type { Flavor } from '../../src/topology/snapshot.ts';
import type { Script, Step } from './script.ts';

const ASKS_DIAGNOSTICS =
  /show\s+(?:count\s*\(\s*\*\s*\)\s+)?(?:warnings|errors)|@@(?:\w+\.)?(?:warning|error)_count|get\s+diagnostics/i;
const USES_TABLE = /\b(?:from|into|update|table)\b/i;

const ASKS_SCHEMA_CHARSET =
  /@@(?:\w+\.)?(?:collation|character_set)_database|LIKE '(?:collation|character_set)_database'/i;
const CHOOSES_SCHEMA = /^use \$/i;

/**
 * A script without what two servers do not agree on. On MariaDB warnings stay until a statement
 * uses a table, so behind one that uses none they are those of whatever ran on the connection
 * before. MySQL warns that COM_FIELD_LIST will be
 * dropped, behind the warnings that are there, and so it refuses a statement id that it never gave. Character sets of schemas are as a reset leaves them
 * on a server, and as a login to the schema has them through the proxy.
 */
export function onCommonGround(script: Script, flavor: Flavor): Script {
  const before = new Map<number, Step>();
  const prepared = new Set<string>();
  /** Clients that have chosen no schema since they reset their connection. */
  const reset = new Set<number>();
  const steps = script.steps.filter((step) => {
    if (!isAgreed(step, before.get(step.c), { flavor, prepared })) return false;
    const sql = 'sql' in step ? step.sql : '';
    if (reset.has(step.c) && ASKS_SCHEMA_CHARSET.test(sql)) return false;
    if (step.do === 'resetConnection') reset.add(step.c);
    else if (choosesSchema(step)) reset.delete(step.c);
    if (step.do === 'prepare') prepared.add(`${step.c} ${step.name}`);
    before.set(step.c, step);
    return true;
  });
  return { ...script, steps };
}

function choosesSchema(step: Step): boolean {
  if (step.do === 'changeUser' || step.do === 'reconnect') return true;
  if (step.do === 'initDb') return step.schema.startsWith('$');
  return step.do === 'query' && CHOOSES_SCHEMA.test(step.sql);
}

/** Whether there is nothing to be left out of the script. */
export const isOnCommonGround = (script: Script, flavor: Flavor): boolean =>
  onCommonGround(script, flavor).steps.length === script.steps.length;

function isAgreed(
  step: Step,
  last: Step | undefined,
  { flavor, prepared }: { flavor: Flavor; prepared: ReadonlySet<string> },
): boolean {
  const isUnknown = (it: Step): boolean => 'name' in it && !prepared.has(`${it.c} ${it.name}`);
  const sql = 'sql' in step ? step.sql : '';
  const asks = ASKS_DIAGNOSTICS.test(sql);
  if (flavor === 'mysql') {
    const tells = asks || step.do === 'ping' || step.do === 'setOption' || step.do === 'initDb';
    return !(tells && last !== undefined && (last.do === 'fieldList' || isUnknown(last)));
  }
  const lastSql = last?.do === 'query' ? last.sql : '';
  return !asks || USES_TABLE.test(lastSql);
}
