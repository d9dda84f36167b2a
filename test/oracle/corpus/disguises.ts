import {
  exactly,
  type Chapter,
  type Expectation,
  type Mode,
  type Statement,
} from '../statement.ts';

/** A statement in plain dress. */
interface Base {
  readonly sql: string;
  readonly expect?: Expectation;
}

const BASES: readonly Base[] = [
  { sql: 'SELECT id FROM item' },
  { sql: 'SELECT COUNT(*) FROM part WHERE w > 1' },
  { sql: 'SELECT a.id FROM item a JOIN part b ON a.id = b.item_id' },
  { sql: 'SHOW TABLES' },
  { sql: 'WITH c AS (SELECT 1 AS a) SELECT a FROM c' },
  { sql: 'DESCRIBE item' },
  { sql: 'SELECT UPPER(name) FROM item ORDER BY id LIMIT 1' },
  { sql: "INSERT INTO log (msg) VALUES ('x')" },
  { sql: 'UPDATE item SET qty = 1 WHERE id = 1' },
  { sql: 'DELETE FROM part WHERE id = 99' },
  { sql: 'REPLACE INTO log (id) VALUES (1)' },
  { sql: 'CREATE TABLE made (a INT)' },
  { sql: 'DROP TABLE log' },
  { sql: 'ALTER TABLE part ADD z INT' },
  { sql: 'TRUNCATE TABLE log' },
  { sql: 'CALL p_writes()' },
  { sql: 'SELECT f_writes(1)' },
  { sql: 'SELECT id FROM item FOR UPDATE', expect: 'state' },
  { sql: 'SELECT id FROM item LOCK IN SHARE MODE', expect: 'state' },
  { sql: 'SELECT 1 INTO @a', expect: 'state' },
  { sql: "SELECT GET_LOCK('a', 0)", expect: 'state' },
  { sql: 'SELECT @a := 1', expect: 'state' },
  { sql: 'SET @a = 1', expect: 'state' },
  { sql: 'BEGIN', expect: 'state' },
  { sql: 'SELECT LAST_INSERT_ID(9)', expect: 'state' },
];

/** Between its tokens, around it, and in other letters: none of it changes what it means. */
const DISGUISES: readonly ((sql: string) => string)[] = [
  (sql) => sql.toLowerCase(),
  (sql) => mixedCase(sql),
  (sql) => `  \t\r\n ${sql} \n\t `,
  (sql) => `${sql};`,
  (sql) => `${sql} ; ; `,
  (sql) => `/* SELECT 1 */ ${sql}`,
  (sql) => `${sql} /* FOR UPDATE */`,
  (sql) => `-- INSERT\n${sql}`,
  (sql) => `# it's "quoted\n${sql}`,
  (sql) => `--\t'\n${sql} -- "`,
  (sql) => `${sql} # ;DELETE`,
  (sql) => sql.replaceAll(' ', '/**/ '),
  (sql) => sql.replaceAll(' ', '\n'),
  (sql) => sql.replaceAll(' ', '\t\v\f '),
  (sql) => sql.replaceAll(' ', ' -- x\n '),
  (sql) => sql.replaceAll(' ', " /* ' */ "),
  (sql) => sql.replaceAll(' ', ' /* " ` */ '),
  (sql) => `/*! ${sql} */`,
  (sql) => `/*!${sql}*/`,
  (sql) => `/*!40000 ${sql} */`,
  (sql) => `/*!50100 ${sql}*/;`,
  (sql) => `/*!999999 SELECT 1 FROM nowhere */ ${sql}`,
  (sql) => `${sql} /*!999999 FOR UPDATE */`,
  (sql) => `${firstWord(sql)} /*! ${afterFirstWord(sql)} */`,
  (sql) => `/*!40101 ${firstWord(sql)} */ ${afterFirstWord(sql)}`,
  (sql) => `/* one */ /* two */ -- three\n# four\n ${sql}`,
  (sql) => `/***/${sql}/**/`,
  (sql) => `${firstWord(sql)}/*! */${afterFirstWord(sql)}`,
  (sql) => `${firstWord(sql)} /*!40000 /* inner */ */ ${afterFirstWord(sql)}`,
  (sql) => `/* lagwise: target=replica */ ${sql}`,
  (sql) => `/*+ not a hint here */ ${sql}`,
];

/** Text that only some modes and character sets read so. */
interface Tricky extends Base {
  readonly mode: Mode;
  /** The bytes, one char each, instead of UTF-8. */
  readonly isBytes?: true;
}

const TRICKY: readonly Tricky[] = [
  // ANSI_QUOTES: a name, not a string.
  { mode: 'ansi', sql: 'SELECT "id" FROM "item"' },
  { mode: 'ansi', sql: 'SELECT "f_writes"(1)' },
  { mode: 'ansi', sql: 'SELECT "shop"."f_writes"(1)' },
  { mode: 'ansi', sql: 'UPDATE "item" SET "qty" = 1' },
  { mode: 'ansi', sql: 'SELECT "update" FROM "select"' },
  { mode: 'ansi', sql: 'SELECT id AS "for update" FROM item' },
  { mode: 'ansi', sql: 'SELECT id AS "a\\" FROM item' },
  { mode: 'ansi', sql: 'SELECT id AS "a\\" FROM item FOR UPDATE -- "', expect: 'state' },
  { mode: 'ansi', sql: 'SELECT id AS "a""b" FROM item' },
  { mode: 'plain', sql: 'SELECT "id\\" FOR UPDATE" FROM item' },
  { mode: 'plain', sql: 'SELECT "a""b FOR UPDATE" FROM item' },
  // NO_BACKSLASH_ESCAPES: a backslash is a letter.
  { mode: 'noBackslash', sql: "SELECT 'a\\', id FROM item" },
  { mode: 'noBackslash', sql: "SELECT 'a\\' FROM item FOR UPDATE -- '", expect: 'state' },
  { mode: 'noBackslash', sql: "SELECT 'a\\' INTO @a -- '", expect: 'state' },
  { mode: 'noBackslash', sql: "SELECT 'a\\', f_writes(1) -- '" },
  { mode: 'plain', sql: "SELECT 'a\\' FROM item FOR UPDATE -- ', id FROM item" },
  { mode: 'plain', sql: "SELECT 'a\\\\' FROM item FOR UPDATE -- '", expect: 'state' },
  { mode: 'noBackslash', sql: "SELECT 'a\\\\' FROM item" },
  { mode: 'ansiNoBackslash', sql: 'SELECT "id" AS "x\\" FROM item' },
  {
    mode: 'ansiNoBackslash',
    sql: "SELECT '\\' AS \"y\" FROM item FOR UPDATE -- '",
    expect: 'state',
  },
  // IGNORE_SPACE: a blank does not make a stored function of it.
  { mode: 'ignoreSpace', sql: 'SELECT COUNT (*) FROM item' },
  { mode: 'ignoreSpace', sql: 'SELECT NOW (), MAX (id) FROM item' },
  { mode: 'ignoreSpace', sql: 'SELECT f_writes (1)' },
  // But a comment does.
  { mode: 'ignoreSpace', sql: 'SELECT COUNT/**/(1)' },
  { mode: 'ignoreSpace', sql: 'SELECT sum -- x\n(1)' },
  { mode: 'pipes', sql: "SELECT 'a' || name FROM item" },
  { mode: 'pipes', sql: "SELECT 'a' || f_writes(1)" },
  // The second byte of a character may be a backslash or a quote's neighbour.
  ...(['gbk', 'sjis', 'big5', 'cp932'] as const).flatMap((mode): Tricky[] => {
    const lead = { gbk: '\x81', sjis: '\x95', big5: '\xa5', cp932: '\x95' }[mode];
    const letter = `${lead}\x5c`;
    return [
      { mode, isBytes: true, sql: `SELECT '${letter}', id FROM item` },
      {
        mode,
        isBytes: true,
        sql: `SELECT '${letter}' FROM item WHERE name <> '${letter}${letter}'`,
      },
      { mode, isBytes: true, sql: `SELECT '${letter}' FROM item FOR UPDATE -- '`, expect: 'state' },
      { mode, isBytes: true, sql: `SELECT '${letter}', f_writes(1) -- '` },
      { mode, isBytes: true, sql: `INSERT INTO log (msg) VALUES ('${letter}')` },
      { mode, isBytes: true, sql: `SELECT '${letter}\\'' FROM item` },
      {
        mode,
        isBytes: true,
        sql: `SELECT "${letter}" FROM item LOCK IN SHARE MODE -- "`,
        expect: 'state',
      },
      { mode, isBytes: true, sql: `SELECT id AS \`${letter}\` FROM item` },
      { mode, isBytes: true, sql: `/* ${letter} */ SELECT id FROM item` },
      { mode, isBytes: true, sql: `UPDATE item SET name = '${letter}' WHERE id = 1` },
      { mode, isBytes: true, sql: `SELECT 'plain' FROM item` },
    ];
  }),
  { mode: 'latin1', isBytes: true, sql: "SELECT '\xe9\xe8' FROM item" },
  { mode: 'latin1', isBytes: true, sql: "SELECT '\x95\\' FOR UPDATE' FROM item" },
  { mode: 'latin1', isBytes: true, sql: "SELECT '\xbf\\', f_writes(1) -- '" },
  // Control characters of that charset, so that two dashes begin a comment.
  ...['\x80', '\x90', '\x98'].map(
    (control): Tricky => ({
      mode: 'cp1250',
      isBytes: true,
      sql: `SELECT 1 --${control}'\nINTO @a -- '`,
      expect: 'state',
    }),
  ),
  { mode: 'cp1250', isBytes: true, sql: "SELECT 1 --\x81'\n, f_writes(1) -- '" },
  { mode: 'plain', sql: "SELECT 'ünïcödé ☃ 𝄞' FROM item" },
  { mode: 'plain', sql: 'SELECT id AS `schön☃` FROM item' },
];

/** The same meaning in every dress; and the same bytes under other rules. */
export const disguises: Chapter = (flavor) => [
  ...BASES.flatMap(dressed),
  ...TRICKY.map(
    ({ sql, mode, expect, isBytes }): Statement => ({
      sql: isBytes === true ? Buffer.from(sql, 'latin1') : sql,
      mode,
      ...(expect === undefined ? {} : { expect }),
    }),
  ),
  ...ODD,
  ...(flavor === 'mysql' ? MYSQL : MARIADB),
];

function dressed({ sql, expect }: Base): Statement[] {
  const common = expect === undefined ? {} : { expect };
  return exactly(
    DISGUISES.map((disguise) => disguise(sql)),
    common,
  );
}

/** Version comments that hold just the part that matters. */
const ODD = [
  ...exactly([
    'SELECT id FROM item /*!999999 FOR UPDATE */',
    'SELECT /*!999999 f_writes(1), */ id FROM item',
    'SELECT id /*!40000 , name */ FROM item',
    'SELECT 1 /*!99999 */',
    '/*!40000 SELECT */ /*!40000 1 */',
    'SELECT 1 /*!40000 + 1 *//*!40000 + 1 */',
    'SELECT 5--5, 5 - -5, 5/**/-/**/-5',
    'SELECT 1 /* unclosed-looking /* */',
    'SELECT/*!40000*/1',
    "SELECT '/*', id FROM item WHERE name <> '*/'",
    "SELECT '--', '#', id FROM item",
    'SELECT 1--1',
    'SELECT /*!40000 f_writes(1) */ AS x',
    'SELECT /*! f_writes(1), */ 1',
    '/*! DELETE FROM part WHERE id = 77 */',
    '/*!40000 INSERT */ INTO log (msg) VALUES (1)',
  ]),
  ...exactly(
    [
      'SELECT id FROM item /*! FOR UPDATE */',
      'SELECT id FROM item /*!40000 FOR */ UPDATE',
      'SELECT id FROM item FOR /*! UPDATE */',
      'SELECT 1 /*! INTO @a */',
      "SELECT /*!40000 GET_LOCK('z', 0) */",
      'SELECT @a /*! := */ /*! 1 */',
      'SELECT id FROM item LOCK /*!40000 IN SHARE */ MODE',
    ],
    { expect: 'state' },
  ),
];

const MYSQL = [
  // A number without its exponent vanishes, and the sign behind it.
  ...exactly(['SELECT f_writes 1.e-(1)', 'SELECT f_writes .5E+(1)', 'SELECT 1.e-- f_writes(1)']),
  ...exactly(["SELECT GET_LOCK 1.e-('z', 0)", 'SELECT 1.e-- 1 INTO @a'], { expect: 'state' }),
  ...exactly([
    'SELECT /*!80000 id, */ name FROM item',
    'SELECT /*!080000 id, */ name FROM item',
    'SELECT /*M! f_writes(1), */ id FROM item',
    'SELECT /*M!100000 f_writes(1), */ 1',
    '/*!80000 DELETE FROM part WHERE id = 5 */',
    '/*!090000 DELETE FROM part WHERE id = 5 */',
    '/*!100000 DELETE FROM part */ SELECT 1',
    'SELECT 1 /*!090704 + f_writes(1) */',
  ]),
];

const MARIADB = [
  // NULL, at the end of which the next word may begin.
  ...exactly(['SELECT \\NINTO @a', 'SELECT \\NLOCK IN SHARE MODE'], { expect: 'state' }),
  ...exactly([
    'SELECT \\N, id FROM item',
    'SELECT \\NFROM item',
    'SELECT /*M! f_writes(1), */ id FROM item',
    'SELECT /*M!100000 f_writes(1), */ 1',
    'SELECT /*M!100100 id, */ name FROM item',
    'SELECT /*!50701 nonsense here */ 1',
    'SELECT /*!80000 nonsense here */ 1',
    '/*M! DELETE FROM part WHERE id = 5 */',
    '/*!100000 DELETE FROM part WHERE id = 5 */',
    '/*!100501 DELETE FROM part WHERE id = 5 */',
    '/*M!999999 DELETE FROM part */ SELECT 1',
    'SELECT id FROM item /*M!100000 WHERE id = 1 */',
  ]),
];

function firstWord(sql: string): string {
  return sql.slice(0, sql.includes(' ') ? sql.indexOf(' ') : sql.length);
}

function afterFirstWord(sql: string): string {
  return sql.includes(' ') ? sql.slice(sql.indexOf(' ') + 1) : '';
}

/** Every other letter in the other case; names are written in lower case and stay. */
function mixedCase(sql: string): string {
  return sql.replaceAll(/[A-Z][A-Z]/g, (pair) => pair.charAt(0).toLowerCase() + pair.charAt(1));
}
