import type { ContainerRuntimeClient } from 'testcontainers';
import { LagwiseError, messageOf } from '../lib/errors.ts';
import type { Flavor } from '../topology/snapshot.ts';

type Engine = ContainerRuntimeClient['container']['dockerode'];

/** Marks the containers and the network of a lab; its value is the lab's folder. */
export const LAB_LABEL = 'lagwise.lab';

const IMAGES: Record<Flavor, { readonly variable: string; readonly image: string }> = {
  mysql: { variable: 'LAGWISE_MYSQL_IMAGE', image: 'mysql:8.4' },
  mariadb: { variable: 'LAGWISE_MARIADB_IMAGE', image: 'mariadb:11' },
};

/** The image that servers of a flavor run from; an environment variable names another one. */
export function containerImage(flavor: Flavor): string {
  const { variable, image } = IMAGES[flavor];
  return process.env[variable] || image;
}

/**
 * The container engine of this machine, found as testcontainers finds it. Loaded only when it is
 * needed: the package is large, and most labs are processes.
 */
export async function openEngine(): Promise<Engine> {
  try {
    const { getContainerRuntimeClient } = await import('testcontainers');
    return (await getContainerRuntimeClient()).container.dockerode;
  } catch (error) {
    throw new LagwiseError('lab', `no container engine answers (${messageOf(error)})`, {
      cause: error,
    });
  }
}

/** Makes sure that the engine has the image, fetching it if need be. */
export async function ensureImage(image: string, onStep: (text: string) => void): Promise<void> {
  const engine = await openEngine();
  const images = await engine.listImages({ filters: { reference: [image] } });
  if (images.length > 0) return;
  onStep(`Fetching the image ${image} (once)`);
  const { ImageName, getContainerRuntimeClient } = await import('testcontainers');
  const client = await getContainerRuntimeClient();
  await client.image.pull(ImageName.fromString(image)).catch((error: unknown) => {
    throw new LagwiseError('lab', `the image ${image} cannot be fetched (${messageOf(error)})`);
  });
}

/** Removes every container and network that carries the label of the lab in `dir`. */
export async function removeContainers(dir: string): Promise<void> {
  const engine = await openEngine();
  const filters = { label: [`${LAB_LABEL}=${dir}`] };
  const containers = await engine.listContainers({ all: true, filters });
  await Promise.all(
    containers.map(({ Id }) => engine.getContainer(Id).remove({ force: true, v: true })),
  );
  for (const { Id } of await engine.listNetworks({ filters })) {
    await engine.getNetwork(Id).remove();
  }
}
