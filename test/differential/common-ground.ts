import type { Flavor } from '../../src/topology/snapshot.ts';
import type { Script, Step } from './script.ts';

const ASKS_DIAGNOSTICS =
  /show\s+(?:count\s*\(\s*\*\s*\)\s+)?(?:warnings|errors)|@@(?:\w+\.)?(?:warning|error)_count|get\s+diagnostics/i;
const ASKS_FOUND_ROWS = /found_rows\s*\(/i;
const USES_TABLE = /\b(?:from|into|update|table)\b/i;

const SELECTS = /^\s*select\b.*\bfrom\b/is;

/**
 * A script without what two servers do not agree on. On MariaDB warnings stay until a statement
 * uses a table, so behind one that uses none they are those of whatever ran on the connection
 * before, and FOUND_ROWS() is what its thread had last. On MySQL the refusal of a statement id that
 * was never prepared is put behind the errors that are there.
 */
export function onCommonGround(script: Script, flavor: Flavor): Script {
  const before = new Map<number, Step>();
  const prepared = new Set<string>();
  const steps = script.steps.filter((step) => {
    const last = before.get(step.c);
    if (!isAgreed(step, last, { flavor, prepared })) return false;
    if (step.do === 'prepare') prepared.add(`${step.c} ${step.name}`);
    before.set(step.c, step);
    return true;
  });
  return { ...script, steps };
}

function isAgreed(
  step: Step,
  last: Step | undefined,
  { flavor, prepared }: { flavor: Flavor; prepared: ReadonlySet<string> },
): boolean {
  const sql = 'sql' in step ? step.sql : '';
  const asks = ASKS_DIAGNOSTICS.test(sql);
  if (flavor === 'mysql') {
    const isUnknown =
      last !== undefined && 'name' in last && !prepared.has(`${last.c} ${last.name}`);
    const tells = asks || step.do === 'ping' || step.do === 'setOption' || step.do === 'initDb';
    // COM_FIELD_LIST warns that it will be dropped, behind what is there.
    if (tells && (isUnknown || last?.do === 'fieldList')) return false;
    if (ASKS_FOUND_ROWS.test(sql) && last?.do !== 'query') return false;
    return !(last?.do === 'resetConnection' && tells);
  }
  const lastSql = last?.do === 'query' ? last.sql : '';
  if (asks && !USES_TABLE.test(lastSql)) return false;
  return !ASKS_FOUND_ROWS.test(sql) || SELECTS.test(lastSql);
}
