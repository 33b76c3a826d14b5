import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import {
	arrangeFilters,
	fetchSavedFilters,
	forgetFilter,
	keepFilter,
	type ListPreferences,
	type SavedFilter,
	type StudyFilter,
} from "../../dicomweb/studies";
import { setParts } from "./filter";

const KEY = ["saved-filters"] as const;
const QUIET_MS = 5000;

/** TABLE: the tabs somebody who never kept a filter begins with. */
const FIRST_TABS: [string, Partial<StudyFilter>][] = [
	["Today", { date: "today" }],
	["Unread", { state: "complete" }],
];

/** The user's named filters with their counts; `changes` moves whenever studies did. */
export function useSavedFilters(
	changes: number,
	preferences: ListPreferences | undefined,
	keepPreference: (change: ListPreferences) => Promise<void>,
) {
	const client = useQueryClient();
	const { data } = useQuery({
		queryKey: KEY,
		queryFn: ({ signal }) => fetchSavedFilters(signal),
		refetchInterval: 60_000,
		placeholderData: (previous) => previous,
	});
	const again = () => client.invalidateQueries({ queryKey: KEY });

	// Counting costs a query per tab: once the studies have been quiet for a moment is enough.
	const count = useRef(again);
	count.current = again;
	useEffect(() => {
		if (changes === 0) return;
		const timer = window.setTimeout(() => void count.current(), QUIET_MS);
		return () => window.clearTimeout(timer);
	}, [changes]);

	const seeding = useRef(false);
	useEffect(() => {
		if (seeding.current || !data || !preferences || preferences.seeded) return;
		seeding.current = true;
		(async () => {
			if (data.length === 0) {
				for (const [name, asked] of FIRST_TABS) await keepFilter(name, asked, "");
				await count.current();
			}
			await keepPreference({ seeded: true });
		})().catch(() => undefined); // next time then
	}, [data, preferences, keepPreference]);

	return {
		filters: data ?? [],
		keep: async (name: string, filter: StudyFilter, sort: string) => {
			await keepFilter(name, setParts(filter), sort);
			await again();
		},
		forget: async (id: number) => {
			await forgetFilter(id);
			await again();
		},
		move: async (id: number, by: number) => {
			const order = (data ?? []).map((each) => each.id);
			const from = order.indexOf(id);
			const to = Math.max(0, Math.min(order.length - 1, from + by));
			order.splice(to, 0, ...order.splice(from, 1));
			client.setQueryData<SavedFilter[]>(KEY, (known) =>
				known?.toSorted((a, b) => order.indexOf(a.id) - order.indexOf(b.id)),
			);
			await arrangeFilters(order);
			await again();
		},
	};
}
