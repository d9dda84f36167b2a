import { CHARSET_KIND } from '../../../src/sql/charset-kind.ts';
import { type ClassifyContext, EFFECT } from '../../../src/sql/classification.ts';
import { Classifier } from '../../../src/sql/classify.ts';

export const MYSQL: ClassifyContext = {
  noBackslashEscapes: false,
  ansiQuotes: false,
  ignoreSpace: false,
  charsetKind: CHARSET_KIND.UTF8,
  routines: null,
  flavor: 'mysql',
  serverVersion: 90704,
};
export const MARIADB: ClassifyContext = { ...MYSQL, flavor: 'mariadb', serverVersion: 110808 };

const classifier = new Classifier();

/** Class and reason as one word, to be read in a failure's output: `read/select`. */
export function judge(statement: string | Buffer, ctx: ClassifyContext = MYSQL): string {
  const { cls, reason } = classified(statement, ctx);
  return `${cls}/${reason}`;
}

/** A copy of the classification, for tests that hold several. */
export function classified(statement: string | Buffer, ctx: ClassifyContext = MYSQL) {
  const bytes = typeof statement === 'string' ? Buffer.from(statement) : statement;
  const { cls, reason, effects, digestHi, digestLo, schemaStart, schemaEnd, ...kill } =
    classifier.classify(bytes, 0, bytes.length, ctx);
  const { killTarget, killQueryOnly } = kill;
  const schema = schemaStart < 0 ? null : bytes.toString('utf8', schemaStart, schemaEnd);
  return { cls, reason, effects, digestHi, digestLo, schema, killTarget, killQueryOnly };
}

/** Names of the effect bits, in the order of the bits. */
export function effectNames(statement: string | Buffer, ctx: ClassifyContext = MYSQL): string[] {
  const { effects } = classified(statement, ctx);
  return Object.entries(EFFECT)
    .filter(([, bit]) => (effects & bit) !== 0)
    .map(([name]) => name);
}

export function digest(statement: string, ctx: ClassifyContext = MYSQL): string {
  const { digestHi, digestLo } = classified(statement, ctx);
  return `${digestHi.toString(16)}-${digestLo.toString(16)}`;
}
