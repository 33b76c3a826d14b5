import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { fetchPreferences, keepPreferences, type ListPreferences } from "../../dicomweb/studies";
import { FIRST_SHOWN } from "./columns";
import { useKept } from "./useKept";

const KEY = ["preferences", "study-list"] as const;

/**
 * Columns in the user's order, kept on the server so that they follow the user; this browser
 * remembers the last ones, so that the list does not rearrange itself while it loads.
 */
export function useListPreferences() {
	const client = useQueryClient();
	const [remembered, remember] = useKept<string[]>("list.columns", FIRST_SHOWN);
	const { data, isSuccess } = useQuery({
		queryKey: KEY,
		queryFn: ({ signal }) => fetchPreferences(signal),
		staleTime: Number.POSITIVE_INFINITY,
	});
	const kept = data?.columns;
	const columns =
		Array.isArray(kept) && kept.length > 0 ? kept : isSuccess ? FIRST_SHOWN : remembered;
	const keep = useCallback(
		async (change: ListPreferences) => {
			const next = { ...client.getQueryData<ListPreferences>(KEY), ...change };
			client.setQueryData(KEY, next);
			await keepPreferences(next);
		},
		[client],
	);
	const setColumns = useCallback(
		(ids: string[]) => {
			remember(ids);
			// A choice the server cannot keep still holds in this browser.
			keep({ columns: ids }).catch(() => undefined);
		},
		[keep, remember],
	);
	return { columns, setColumns, preferences: data, keep };
}
