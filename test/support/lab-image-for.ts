import { afterAll, beforeAll } from 'vitest';
import { ensureLabImage, whyNoEngine } from './lab-image.ts';

/** Why no container can be started here, null where one can. */
export const missingEngine = await whyNoEngine();

/** Has a describe block's labs run in the image that is made for this flavor, and undoes that. */
export function useLabImage(flavor: 'mysql' | 'mariadb'): void {
  const variable = flavor === 'mysql' ? 'LAGWISE_MYSQL_IMAGE' : 'LAGWISE_MARIADB_IMAGE';
  const before = process.env[variable];
  beforeAll(async () => {
    if (missingEngine === null) process.env[variable] = await ensureLabImage(flavor);
  });
  afterAll(() => {
    if (before === undefined) delete process.env[variable];
    else process.env[variable] = before;
  });
}
