import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Flavor } from '../../src/topology/snapshot.ts';
import type { Script } from './script.ts';

const FOLDER = join(import.meta.dirname, 'regressions');

/** A script that two systems once did not agree on. */
export interface Regression {
  /** The file's name without its ending. */
  readonly id: string;
  /** What it is about. */
  readonly name: string;
  readonly script: Script;
}

/** All cases for a flavour. */
export function regressions(flavor: Flavor): Regression[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => {
      const script = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Script;
      const id = file.slice(0, -'.json'.length);
      return { id, name: script.name ?? id, script };
    })
    .filter(({ script }) => script.flavor === undefined || script.flavor === flavor);
}
