/** Operators, one expression a line; columns are those of table item. */
export const OPERATORS = String.raw`
  id + qty
  id - qty
  -qty
  +qty
  id * 2
  qty / 3
  qty DIV 3
  qty MOD 3
  qty % 3
  qty & 6
  qty | 6
  qty ^ 6
  ~qty
  qty << 2
  qty >> 2
  id = 1
  id <=> NULL
  id <> 1
  id != 1
  id < 2
  id <= 2
  id > 2
  id >= 2
  NOT id
  !id
  id AND qty
  id && qty
  id OR qty
  id || qty
  id XOR qty
  raw IS NULL
  raw IS NOT NULL
  (id = 1) IS TRUE
  (id = 1) IS NOT FALSE
  (raw = 1) IS UNKNOWN
  id BETWEEN 1 AND 2
  id NOT BETWEEN 1 AND 2
  id IN (1, 2, 3)
  id NOT IN (1, 2)
  id IN (SELECT item_id FROM part)
  (id, qty) IN ((1, 100), (2, 300))
  name LIKE 'b%'
  name LIKE 'b!_%' ESCAPE '!'
  name NOT LIKE '%x'
  name REGEXP '^b'
  name NOT REGEXP '^b'
  name RLIKE 'n.t'
  name SOUNDS LIKE 'bolt'
  EXISTS (SELECT 1 FROM part WHERE item_id = item.id)
  NOT EXISTS (SELECT 1 FROM part WHERE item_id = 99)
  id = ANY (SELECT item_id FROM part)
  id > ALL (SELECT 0)
  id = SOME (SELECT 1)
  (SELECT MAX(w) FROM part)
  (SELECT COUNT(*) FROM part WHERE item_id = item.id)
  CASE id WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'many' END
  CASE WHEN qty > 10 THEN 'lot' END
  name COLLATE utf8mb4_general_ci
  _utf8mb4'abc'
  _latin1'abc' COLLATE latin1_bin
  N'abc'
  X'4142'
  x'41'
  0x4142
  b'0101'
  0b0101
  bits + 0
  1.5e3
  .5
  5.
  1e-3
  TRUE
  FALSE
  NULL
  'it''s'
  'a' 'b' 'c'
  'say \'hi\''
  "double"
  'tab\tnew\nzero\0'
  'for update'
  'into outfile'
  id = 1 AND name = 'bolt' OR qty > 3 AND NOT kind = 'c'
  ((((id))))
  (1, 2) = (SELECT 1, 2)
  kind = 'a'
  tags & 2
  kind + 0
  price * qty
  1--1
  1 - -1
  id*-1
`;
