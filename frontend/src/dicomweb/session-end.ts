/** One place that knows when the session has ended, whichever request noticed it first. */

type Listener = () => void;

const listeners = new Set<Listener>();

export function onSessionEnd(listener: Listener): () => void {
	listeners.add(listener);
	return () => {
		listeners.delete(listener);
	};
}

export function sessionEnded(): void {
	for (const listener of listeners) listener();
}

/** Leaves for the sign-in page and comes back to where the user was. */
export function signInAgain(): void {
	const here = window.location.pathname + window.location.search;
	window.location.assign(`/login/?next=${encodeURIComponent(here)}`);
}
