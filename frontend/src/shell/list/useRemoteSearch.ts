import { useCallback, useEffect, useRef, useState } from "react";
import {
	beginSearch,
	type Elsewhere,
	fetchFound,
	type FoundPage,
	giveUpSearch,
	type RemoteStudy,
} from "../../dicomweb/peers";
import type { StudyFilter } from "../../dicomweb/studies";
import { isFiltered } from "./filter";

const POLL_MS = 350;
const TRIES = 3;

export interface RemoteSearch {
	/** idle: nothing has been asked for. */
	state: "idle" | FoundPage["state"];
	message: string;
	rows: RemoteStudy[];
	more: boolean;
	unusable: number;
}

const IDLE: RemoteSearch = { state: "idle", message: "", rows: [], more: false, unusable: 0 };

/** One search at a time: a new filter gives the one before up, and so does leaving the page. */
export function useRemoteSearch({ kind, title }: Elsewhere, filter: StudyFilter) {
	const [found, setFound] = useState<RemoteSearch>(IDLE);
	const [again, setAgain] = useState(0);
	const running = useRef<() => void>(() => undefined);

	// biome-ignore lint/correctness/useExhaustiveDependencies: `again` asks the same once more
	useEffect(() => {
		if (!isFiltered(filter)) {
			setFound(IDLE);
			return;
		}
		const stop = new AbortController();
		let name = "";
		const giveUp = () => {
			if (name) void giveUpSearch(name).catch(() => undefined);
			name = "";
		};
		running.current = giveUp;
		const follow = async () => {
			setFound({ ...IDLE, state: "running" });
			name = await beginSearch({ kind, title }, filter);
			if (stop.signal.aborted) return giveUp();
			let after = 0;
			let failures = 0;
			for (;;) {
				try {
					const page = await fetchFound(name, after, stop.signal);
					failures = 0;
					after = page.next;
					const { state, message, more, unusable } = page;
					setFound((known) => ({
						state,
						message,
						more,
						unusable,
						rows: page.studies.length ? [...known.rows, ...page.studies] : known.rows,
					}));
					if (state !== "running") break;
				} catch (error) {
					failures += 1;
					if (stop.signal.aborted || failures >= TRIES) throw error;
				}
				await new Promise((next) => window.setTimeout(next, POLL_MS));
				if (stop.signal.aborted) return;
			}
			name = "";
		};
		follow().catch((error: unknown) => {
			if (stop.signal.aborted) return;
			const message = error instanceof Error ? error.message : String(error);
			setFound((known) => ({ ...known, state: "failed", message }));
		});
		return () => {
			stop.abort();
			giveUp();
		};
	}, [kind, title, filter, again]);

	const stored = useCallback((counts: Map<string, number>) => {
		setFound((known) => ({
			...known,
			rows: known.rows.map((row) => {
				const here = counts.get(row.StudyInstanceUID);
				return here === undefined || here === row.here ? row : { ...row, here };
			}),
		}));
	}, []);
	return {
		found,
		/** How many of these are here now. */
		stored,
		cancel: () => running.current(),
		refresh: () => setAgain((count) => count + 1),
	};
}
