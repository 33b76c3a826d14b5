import { lazy, Suspense, useCallback, useEffect, useState } from "react";
import type { Elsewhere } from "../../dicomweb/peers";
import { studyQuery } from "../../dicomweb/studies";
import { filterFromSearch } from "./filter";
import StudyListPage from "./StudyListPage";
import { isSame, SOURCE_KEYS, sourceOf } from "./source";

const RemoteListPage = lazy(() => import("./RemoteListPage"));

/** The study list of what is here, or of another archive; the filters go along. */
export default function ListPage() {
	const [source, setSource] = useState(addressed);
	useEffect(() => {
		// Back and forward lead from one archive to another without a new page.
		const follow = () => setSource((now) => (isSame(now, addressed()) ? now : addressed()));
		window.addEventListener("popstate", follow);
		return () => window.removeEventListener("popstate", follow);
	}, []);
	const choose = useCallback((next: Elsewhere | null) => {
		const search = studyQuery(filterFromSearch(location.search), "");
		search.delete("sort");
		if (next) search.set(SOURCE_KEYS[next.kind], next.title);
		const text = search.toString();
		window.history.pushState(window.history.state, "", text ? `/?${text}` : "/");
		setSource(next);
	}, []);
	if (!source) return <StudyListPage onSource={choose} />;
	return (
		<Suspense fallback={null}>
			<RemoteListPage key={`${source.kind} ${source.title}`} source={source} onSource={choose} />
		</Suspense>
	);
}

function addressed(): Elsewhere | null {
	return sourceOf(new URLSearchParams(location.search));
}
