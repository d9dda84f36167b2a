import type { Script } from './script.ts';

/**
 * Leaves out single steps, then clients that do nothing, for as long as `fails` holds: what is left
 * needs each of its steps. fast-check shrinks what steps say; this finds those that say nothing.
 */
export async function withoutNeedless(
  script: Script,
  fails: (candidate: Script) => Promise<boolean>,
): Promise<Script> {
  let smallest = script;
  for (let at = smallest.steps.length - 1; at >= 0; at -= 1) {
    const candidate = { ...smallest, steps: smallest.steps.toSpliced(at, 1) };
    if (await fails(candidate)) smallest = candidate;
  }
  const lean = withoutIdleClients(smallest);
  return lean !== smallest && (await fails(lean)) ? lean : smallest;
}

/** Only trailing clients: a client's number is part of the names it uses. */
function withoutIdleClients(script: Script): Script {
  const used = 1 + Math.max(0, ...script.steps.map(({ c }) => c));
  return used === script.clients.length
    ? script
    : { ...script, clients: script.clients.slice(0, used) };
}
