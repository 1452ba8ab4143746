/** Signals that stop the watchdog: SIGUSR2 announces a restart, so that links are remembered and conmgrs wait. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];
