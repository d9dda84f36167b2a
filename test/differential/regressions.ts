import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Flavor } from '../../src/topology/snapshot.ts';
import type { Script } from './script.ts';

/** Cases that hold; and, if asked for, a folder of such as do not hold yet. */
const FOLDERS = [
  join(import.meta.dirname, 'regressions'),
  ...(process.env['LAGWISE_DIFF_CASES'] ? [process.env['LAGWISE_DIFF_CASES']] : []),
];

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
  return FOLDERS.flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)))
    .filter((path) => path.endsWith('.json'))
    .sort()
    .map((path) => {
      const script = JSON.parse(readFileSync(path, 'utf8')) as Script;
      const id = basename(path, '.json');
      return { id, name: script.name ?? id, script };
    })
    .filter(({ script }) => script.flavor === undefined || script.flavor === flavor);
}
