import type { Flavor } from '../../src/topology/snapshot.ts';
import type { Script, Step } from './script.ts';

const ASKS_DIAGNOSTICS =
  /show\s+(?:count\s*\(\s*\*\s*\)\s+)?(?:warnings|errors)|@@(?:\w+\.)?(?:warning|error)_count|get\s+diagnostics/i;
const ASKS_FOUND_ROWS = /found_rows\s*\(/i;
const USES_TABLE = /\b(?:from|into|update|table)\b/i;

/**
 * A script without what two MariaDB sessions do not agree on: warnings stay until a statement uses
 * a table, so behind one that uses none they are those of whatever ran on the connection before;
 * and FOUND_ROWS() of a new session is what its thread had last. MySQL's scripts stay as they are.
 */
export function onCommonGround(script: Script, flavor: Flavor): Script {
  if (flavor === 'mysql') return script;
  const before = new Map<number, Step>();
  const steps = script.steps.filter((step) => {
    const last = before.get(step.c);
    const sql = 'sql' in step ? step.sql : '';
    const isSure = last !== undefined && last.do === 'query' && USES_TABLE.test(last.sql);
    if (ASKS_DIAGNOSTICS.test(sql) && !isSure) return false;
    if (ASKS_FOUND_ROWS.test(sql) && !isSure) return false;
    before.set(step.c, step);
    return true;
  });
  return { ...script, steps };
}
