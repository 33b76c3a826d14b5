import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import {
	cancelTransfer,
	type Elsewhere,
	fetchStudy,
	fetchTransfers,
	retryTransfer,
	type Transfer,
} from "../../dicomweb/peers";
import { fetchStudyRows } from "../../dicomweb/studies";
import { byStudy, isOver } from "../../model/transfer";

const POLL_MS = 1000;
const POLL_CALM_MS = 5000;
const MOST_FOLLOWED = 100;

/** What is being fetched from an archive: also what somebody began before this page was opened. */
export function useFetching(
	{ kind, title }: Elsewhere,
	allowed: boolean,
	onStored: (counts: Map<string, number>) => void,
	onProblem: (words: string) => void,
) {
	const [transfers, setTransfers] = useState<Transfer[]>([]);
	const known = useRef<Transfer[]>([]);
	known.current = transfers;
	const told = useRef({ onStored, onProblem });
	told.current = { onStored, onProblem };
	const [kick, setKick] = useState(0);

	// biome-ignore lint/correctness/useExhaustiveDependencies: `kick` looks at once
	useEffect(() => {
		if (!allowed) return;
		const stop = new AbortController();
		let timer = 0;
		const look = async () => {
			let active = false;
			try {
				if (document.visibilityState === "visible") {
					const ids = known.current.map((each) => each.id).slice(-MOST_FOLLOWED);
					const before = new Map(known.current.map((each) => [each.id, each]));
					const now = await fetchTransfers({ kind, title }, ids, stop.signal);
					const pulls = now.filter((each) => each.kind === "pull");
					setTransfers(pulls);
					active = pulls.some((each) => !isOver(each));
					const moved = pulls.filter((each) => !isOver(each) || changed(each, before));
					await count(moved, stop.signal, told.current.onStored);
				}
			} catch {
				if (stop.signal.aborted) return; // else the next look tells
			}
			if (!stop.signal.aborted) timer = window.setTimeout(look, active ? POLL_MS : POLL_CALM_MS);
		};
		look();
		return () => {
			stop.abort();
			window.clearTimeout(timer);
		};
	}, [kind, title, allowed, kick]);

	const act = useCallback(async (doing: () => Promise<Transfer>) => {
		try {
			const made = await doing();
			setTransfers((all) => [...all.filter((each) => each.id !== made.id), made]);
			setKick((count) => count + 1);
		} catch (error) {
			told.current.onProblem(error instanceof Error ? error.message : String(error));
		}
	}, []);
	return {
		of: useMemo(() => byStudy(transfers), [transfers]),
		pull: (study: string, method: "move" | "get" = "move") =>
			act(() => fetchStudy({ kind, title }, study, method)),
		cancel: (id: number) => act(() => cancelTransfer(id)),
		retry: (id: number) => act(() => retryTransfer(id)),
	};
}

function changed(transfer: Transfer, before: Map<number, Transfer>): boolean {
	return before.get(transfer.id)?.state !== transfer.state;
}

/** Instances are indexed a moment after they come: the list here says how many there are. */
async function count(
	transfers: Transfer[],
	signal: AbortSignal,
	onStored: (counts: Map<string, number>) => void,
): Promise<void> {
	const studies = [...new Set(transfers.map((each) => each.study_instance_uid))];
	if (studies.length === 0) return;
	const rows = await fetchStudyRows(studies, signal);
	onStored(new Map(rows.map((row) => [row.StudyInstanceUID, row.NumberOfStudyRelatedInstances])));
}
