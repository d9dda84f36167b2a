import type { Script } from './script.ts';
import { textOf } from './script.ts';

/** One schema object that scripts may use, and the statements that make it. */
interface SchemaObject {
  readonly name: string;
  readonly needs: readonly string[];
  readonly statements: readonly string[];
}

/** Clients that have objects of their own. */
const MAX_CLIENTS = 6;

const ROWS = "(1, 10, 'one'), (2, 20, 'two'), (3, NULL, 'drei é'), (4, 40, NULL), (5, 50, 'FIVE')";

/** Shared by all clients of a script: read after others wrote it only where everybody has it. */
const SHARED: readonly SchemaObject[] = [
  {
    name: 's',
    needs: [],
    statements: [
      'CREATE TABLE $A.s (id INT PRIMARY KEY, v INT, w VARCHAR(20))',
      `INSERT INTO $A.s VALUES ${ROWS}`,
      'CREATE TABLE $B.s (id INT PRIMARY KEY, v INT)',
      'INSERT INTO $B.s VALUES (1, 1000), (7, 7000)',
    ],
  },
];

/**
 * The objects of client `c`: nobody else names them. A procedure without a statement that counts
 * rows would give its caller the count of the statement before it: hence `DO 0`.
 */
function own(c: number): readonly SchemaObject[] {
  const t = `t${c}`;
  return [
    {
      name: t,
      needs: [],
      statements: [
        `CREATE TABLE $A.${t} (id INT AUTO_INCREMENT PRIMARY KEY, v INT, w VARCHAR(20), KEY (v))`,
        `INSERT INTO $A.${t} VALUES ${ROWS}`,
        `CREATE TABLE $B.${t} (id INT PRIMARY KEY, v INT, w VARCHAR(20))`,
        `INSERT INTO $B.${t} VALUES (1, 100, 'b')`,
      ],
    },
    {
      name: `u${c}`,
      needs: [],
      statements: [
        `CREATE TABLE $A.u${c} (id INT PRIMARY KEY, n TINYINT NOT NULL, d DECIMAL(6,2), ts TIMESTAMP NULL, dt DATETIME NULL, da DATE NULL, c CHAR(5) NOT NULL DEFAULT 'x', l VARCHAR(10) CHARACTER SET latin1, x BLOB, e ENUM('a','b'))`,
        `INSERT INTO $A.u${c} (id, n, d, ts, dt, da, l) VALUES (1, 1, 1.50, '2024-02-29 12:00:00', '2024-02-29 12:00:00', '2024-02-29', 'é')`,
      ],
    },
    {
      name: `k${c}`,
      needs: [t],
      statements: [
        `CREATE TABLE $A.k${c} (id INT PRIMARY KEY, t_id INT, FOREIGN KEY (t_id) REFERENCES $A.${t} (id))`,
      ],
    },
    {
      name: `v${c}`,
      needs: [t],
      statements: [`CREATE VIEW $A.v${c} AS SELECT id, v FROM $A.${t} WHERE v > 15`],
    },
    {
      name: `f${c}`,
      needs: [t],
      statements: [
        `CREATE FUNCTION $A.f${c}(x BIGINT) RETURNS INT READS SQL DATA RETURN (SELECT v + 1 FROM $A.${t} WHERE id = x)`,
      ],
    },
    {
      name: `g${c}`,
      needs: [t],
      statements: [
        `CREATE FUNCTION $A.g${c}(x BIGINT) RETURNS BIGINT MODIFIES SQL DATA BEGIN UPDATE $A.${t} SET v = v + x WHERE id = 2; RETURN x; END`,
      ],
    },
    {
      name: `p${c}`,
      needs: [t],
      statements: [
        `CREATE PROCEDURE $A.p${c}(IN x BIGINT) BEGIN SELECT id, v FROM $A.${t} WHERE id <= x ORDER BY id; UPDATE $A.${t} SET v = v + 1 WHERE id = x; SELECT ROW_COUNT() AS changed; SELECT COUNT(*) AS n FROM $A.${t}; END`,
      ],
    },
    {
      name: `q${c}`,
      needs: [],
      statements: [
        `CREATE PROCEDURE $A.q${c}(IN x INT, OUT y INT, INOUT z VARCHAR(20)) BEGIN SET y = x * 2; SET z = CONCAT(z, '!'); IF x > 90 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'too much', MYSQL_ERRNO = 1644; END IF; DO 0; END`,
      ],
    },
  ];
}

const OBJECTS: readonly SchemaObject[] = [
  ...SHARED,
  ...Array.from({ length: MAX_CLIENTS }, (_, c) => own(c)).flat(),
];

/** The statements that make what `script` names; `$A` and `$B` stand in them. */
export function setupOf(script: Script): string[] {
  const text = textOf(script);
  const wanted = new Set<string>();
  const want = (name: string): void => {
    wanted.add(name);
    for (const need of OBJECTS.find((each) => each.name === name)?.needs ?? []) want(need);
  };
  for (const { name } of OBJECTS) if (new RegExp(`\\b${name}\\b`).test(text)) want(name);
  return [
    'DROP DATABASE IF EXISTS $A',
    'DROP DATABASE IF EXISTS $B',
    'CREATE DATABASE $A DEFAULT CHARACTER SET utf8mb4',
    'CREATE DATABASE $B DEFAULT CHARACTER SET latin1',
    ...OBJECTS.filter(({ name }) => wanted.has(name)).flatMap(({ statements }) => statements),
  ];
}

/** Whether a step reads or writes what other clients write. */
export function touchesShared(text: string): boolean {
  return /\bs\b/.test(text);
}
