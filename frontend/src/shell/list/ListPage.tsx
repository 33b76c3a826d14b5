import { lazy, Suspense, useCallback, useState } from "react";
import { filterFromSearch } from "./filter";
import StudyListPage from "./StudyListPage";
import { studyQuery } from "../../dicomweb/studies";

const RemoteListPage = lazy(() => import("./RemoteListPage"));

/** The study list of what is here, or of another archive; the filters go along. */
export default function ListPage() {
	const [source, setSource] = useState(
		() => new URLSearchParams(location.search).get("source") ?? "",
	);
	const choose = useCallback((next: string) => {
		const search = studyQuery(filterFromSearch(location.search), "");
		search.delete("sort");
		if (next) search.set("source", next);
		const text = search.toString();
		window.history.pushState(window.history.state, "", text ? `/?${text}` : "/");
		setSource(next);
	}, []);
	if (!source) return <StudyListPage onSource={choose} />;
	return (
		<Suspense fallback={null}>
			<RemoteListPage key={source} source={source} onSource={choose} />
		</Suspense>
	);
}
