import { z } from 'zod';
import { makeConfigSchema } from './schema.ts';

/** The parts of JSON Schema that the config's own schema uses. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  /** Ours: whether a change can be taken over while running. */
  readonly reloadable?: boolean;
}

/** A part of a path into the config: object key or list index. */
export type PathPart = string | number;

/** Sources that find nothing: enough where only the shape matters. */
const NO_SOURCES = { env: {}, readFile: () => '', baseDir: '.' };

/** The schema with our own `reloadable` marks, for documentation and messages. */
export function configShape(): SchemaNode {
  return z.toJSONSchema(makeConfigSchema(NO_SOURCES), { io: 'input' }) as SchemaNode;
}

/** The text of proxy.schema.json: standard JSON Schema 2020-12, for editors. */
export function jsonSchemaText(): string {
  const schema = z.toJSONSchema(makeConfigSchema(NO_SOURCES), {
    io: 'input',
    // Strict validators refuse keywords that they do not know.
    override: ({ jsonSchema }) => {
      delete jsonSchema['reloadable'];
    },
  });
  const titled = { title: 'Lagwise configuration (proxy.config.json)', ...schema };
  return `${JSON.stringify(titled, null, 2)}\n`;
}

/** Every node that a path may mean; a union gives several. */
function nodesAt(node: SchemaNode, path: readonly PathPart[]): readonly SchemaNode[] {
  const own =
    node.anyOf === undefined ? [node] : [node, ...node.anyOf.flatMap((n) => nodesAt(n, []))];
  const [head, ...rest] = path;
  if (head === undefined) return own;
  return own.flatMap((each) => {
    const next = typeof head === 'number' ? each.items : each.properties?.[head];
    return next === undefined ? [] : nodesAt(next, rest);
  });
}

/** The keys that an object at this path may have. */
export function knownKeysAt(path: readonly PathPart[]): readonly string[] {
  return nodesAt(configShape(), path).flatMap((node) => Object.keys(node.properties ?? {}));
}

/** One line of the configuration table. */
export interface ConfigKey {
  /** `servers[].port` */
  readonly path: string;
  readonly node: SchemaNode;
  readonly required: boolean;
  readonly reloadable: boolean;
}

/** All keys that hold a value (not sections), in the order of the file. */
export function configKeys(): readonly ConfigKey[] {
  return keysOf(configShape(), '');
}

function keysOf(node: SchemaNode, prefix: string): ConfigKey[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]): ConfigKey[] => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (child.properties !== undefined) return keysOf(child, path);
    const self = {
      path,
      node: child,
      required: node.required?.includes(key) ?? false,
      reloadable: child.reloadable ?? false,
    };
    const item = [child, ...(child.anyOf ?? [])].find((n) => n.items?.properties)?.items;
    return item === undefined ? [self] : [self, ...keysOf(item, `${path}[]`)];
  });
}
