/** What the build of packages asks of a format. */
import type { Release } from './release.js';

/** Installed trees of the two packages: directories that stand for the root of the file system. */
export interface Trees {
  readonly conmgr: string;
  readonly watchdog: string;
}

/** One build. */
export interface Build {
  /** Root of the repository. */
  readonly root: string;
  /** An empty place to build in, removed afterwards. */
  readonly work: string;
  readonly release: Release;
  readonly trees: Trees;
}

/** A kind of package. */
export interface Format {
  /** Programs that must be there. */
  readonly tools: readonly string[];
  /** What has them on Debian. */
  readonly debianPackages: readonly string[];
  /** Below /usr, what LIBDIR of `make install` gets; '' for its default. */
  readonly libraryDirectory: string;
  /** Share directories of the servers that this format's distributions have. */
  readonly shareDirectories: readonly string[];
  /** Makes the packages; the paths of their files. */
  readonly build: (build: Build) => string[];
}

/** Major releases of PostgreSQL whose servers get the SQL extension. */
export const POSTGRESQL_MAJORS = [13, 14, 15, 16, 17, 18] as const;
