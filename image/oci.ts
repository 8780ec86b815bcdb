/**
 * An OCI image layout (image-spec 1.1) on disk: blobs by their digests, an index with a manifest for each platform.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface Layer {
  readonly descriptor: Descriptor;
  /** Of the tar before it was compressed. */
  readonly diffId: string;
  readonly unpacked: number;
  readonly why: string;
}

/** Go's names, as image-spec has them. */
export type Architecture = 'amd64' | 'arm64';

const MEDIA = 'application/vnd.oci.image';

export class Layout {
  readonly #directory: string;
  /** RFC 3339. */
  readonly #created: string;
  readonly #manifests: object[] = [];

  /** `created` is the time of everything in it, so that the same sources give the same bytes. */
  constructor(directory: string, created: string) {
    this.#directory = directory;
    this.#created = created;
    mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
    writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  }

  /** A folder as a layer: sorted, owned by root, of one time. Throws with tar's words when it fails. */
  layer(folder: string, why: string): Layer {
    const flags = [
      '--sort=name',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--format=gnu',
      `--mtime=${this.#created}`,
    ];
    const { status, stdout, stderr } = spawnSync('tar', ['-c', ...flags, '-C', folder, '.'], { maxBuffer: 1 << 30 });
    if (status !== 0) throw new Error(`tar of ${folder}: ${stderr}`);
    const descriptor = this.#blob(`${MEDIA}.layer.v1.tar+gzip`, gzipSync(stdout, { level: 9 }));
    return { descriptor, diffId: digestOf(stdout), unpacked: stdout.length, why };
  }

  add(architecture: Architecture, layers: readonly Layer[], config: object): void {
    const created = this.#created;
    const image = {
      created,
      architecture,
      os: 'linux',
      config,
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(({ why }) => ({ created, created_by: why })),
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config: this.#blob(`${MEDIA}.config.v1+json`, Buffer.from(JSON.stringify(image))),
      layers: layers.map(({ descriptor }) => descriptor),
    };
    const descriptor = this.#blob(manifest.mediaType, Buffer.from(JSON.stringify(manifest)));
    this.#manifests.push({ ...descriptor, platform: { architecture, os: 'linux' } });
  }

  /** Writes the index, under `tag`; with several platforms it is an index of an index, as registries have it. */
  finish(tag: string): void {
    const index = (manifests: readonly object[]) => ({
      schemaVersion: 2,
      mediaType: `${MEDIA}.index.v1+json`,
      manifests,
    });
    const annotations = { 'org.opencontainers.image.ref.name': tag };
    const [first] = this.#manifests;
    const top =
      this.#manifests.length === 1
        ? first!
        : this.#blob(`${MEDIA}.index.v1+json`, Buffer.from(JSON.stringify(index(this.#manifests))));
    writeFileSync(join(this.#directory, 'index.json'), JSON.stringify(index([{ ...top, annotations }])));
  }

  #blob(mediaType: string, content: Buffer): Descriptor {
    const digest = digestOf(content);
    writeFileSync(join(this.#directory, 'blobs/sha256', digest.slice('sha256:'.length)), content);
    return { mediaType, digest, size: content.length };
  }
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
