"""Questions with passages: over package records, over words, and some that the passages do not answer."""
import heapq
import itertools
import math
import random
import re

from output import share, split_of

FIELDS = ("section", "version", "size", "maint", "home", "short")
# The first wording of each field is that of data/qa-heldout.jsonl. The last one is never trained on.
PHRASINGS = {
    "section": ["What is the section of {n}?", "Which section is {n} in?", "In which section of the archive is {n}?",
                "Name the section that {n} belongs to.", "{n} belongs to which section?", "Under which section is {n} filed?"],
    "version": ["What is the version of {n}?", "Which version of {n} is available?", "Which version does {n} have?",
                "Tell me the version of {n}.", "{n} is at which version?", "What version number does {n} carry?"],
    "size": ["What is the installed size of {n}?", "How large is {n} once installed?",
             "How much space does {n} take when installed?", "Tell me the installed size of {n}.", "{n} takes how much disk space?", "How many kilobytes does {n} occupy?"],
    "maint": ["Who is the maintainer of {n}?", "Who maintains {n}?", "Which person or team maintains {n}?",
              "Name the maintainer of {n}.", "{n} is maintained by whom?", "Who looks after {n}?"],
    "home": ["What is the homepage of {n}?", "Where is the homepage of {n}?", "What is the web address of {n}?",
             "Give the homepage of {n}.", "{n} has which homepage?", "Which web site does {n} point to?"],
    "short": ["What is the summary of {n}?", "How is {n} described in one line?", "What does the summary of {n} say?",
              "Give the one-line summary of {n}.", "{n} is summed up how?", "What is {n}, in short?"],
}
WORD_PHRASINGS = {
    "definition": ["What does {n} mean?", "What is the definition of {n}?", "How is {n} defined?", "Give the meaning of {n}.",
                   "Define {n}."],
    "kind": ["What is {n} a kind of?", "{n} is a kind of what?", "Which broader term covers {n}?"],
    "synonym": ["What is another word for {n}?", "Give a synonym of {n}.", "What else is {n} called?"],
}
REFUSAL = "The passages do not say."
LONGEST_ANSWER = 100  # characters


def answer_of(package, field):
    return {"section": package.section, "version": package.version, "size": package.size, "maint": package.maintainer,
            "home": package.homepage, "short": package.summary}[field]


def normal(text):
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def is_worth_asking(question, answer):
    """False where there is no answer, or the question gives it away."""
    if not answer or answer == "none" or len(answer) > LONGEST_ANSWER:
        return False
    return f" {normal(answer)} " not in f" {normal(question)} "


class Neighbours:
    """BM25 over a split's own documents, for queries of rare words: what a lexical retriever returns."""

    def __init__(self, texts, most_common=400):
        self.postings = {}
        lengths = []
        for number, text in enumerate(texts):
            words = normal(text).split()
            lengths.append(len(words))
            for word in set(words):
                self.postings.setdefault(word, []).append((number, words.count(word)))
        self.count = len(texts)
        self.most_common = most_common
        mean = sum(lengths) / max(1, len(lengths))
        self.norms = [1.2 * (0.25 + 0.75 * length / mean) for length in lengths]

    def nearest(self, query, count):
        """Numbers of the best documents for the query, best first; ties by number."""
        scores = {}
        for word in dict.fromkeys(normal(query).split()):
            found = self.postings.get(word, ())
            if not found or len(found) > self.most_common:
                continue  # a word of most records tells nothing
            idf = math.log(1 + (self.count - len(found) + 0.5) / (len(found) + 0.5))
            for number, times in found:
                scores[number] = scores.get(number, 0.0) + idf * times * 2.2 / (times + self.norms[number])
        return [number for number, _ in heapq.nsmallest(count, scores.items(), key=lambda item: (-item[1], item[0]))]


def near_in_order(number, count, reach=40):
    """Numbers around `number`, nearest first: names that sort beside each other are alike."""
    for step in range(1, reach):
        for other in (number - step, number + step):
            if 0 <= other < count:
                yield other


def pick_distractors(number, ranked, differs, count, alike, draw, total):
    """Up to `alike` of the ranked (kind, document) pairs, then random ones: `count` pairs. Each document must have another
    answer than the right one."""
    chosen, kinds = [], []
    for kind, other in ranked:
        if len(chosen) == alike:
            break
        if other != number and other not in chosen and differs(other):
            chosen.append(other)
            kinds.append(kind)
    for _ in range(50 * count):  # a small collection may not have enough that differ
        if len(chosen) >= count:
            break
        other = draw.randrange(total)
        if other != number and other not in chosen and differs(other):
            chosen.append(other)
            kinds.append("random")
    return list(zip(chosen, kinds))


def line(question, answers, shown, relevant, field, phrasing, documents):
    """One line of a QA file; `kinds` says of each passage how it came there."""
    return {
        "question": question, "answers": answers,
        "passages": [{key: documents[number][key] for key in ("id", "title", "text")} for number, _ in shown],
        "relevant": relevant, "field": field, "phrasing": phrasing, "kinds": [kind for _, kind in shown],
    }


class PackageQuestions:
    """Questions about the packages of one split, over records of the same split."""

    def __init__(self, packages, documents, split):
        self.packages, self.documents, self.split = packages, documents, split
        self.neighbours = Neighbours([f"{package.name} {package.summary}" for package in packages])
        self.ranked = {}

    def near(self, number):
        if number not in self.ranked:
            package = self.packages[number]
            self.ranked[number] = [*(("retrieved", other) for other in self.neighbours.nearest(package.name, 40)),
                                   *(("similar", other) for other in near_in_order(number, len(self.packages)))]
        return self.ranked[number]

    def ask(self, number, field, phrasing, passages, relevant=True):
        """One line, or None where the question is not worth asking."""
        package = self.packages[number]
        question = PHRASINGS[field][phrasing].format(n=package.name)
        answer = answer_of(package, field)
        if not is_worth_asking(question, answer):
            return None
        draw = random.Random(f"{self.split} {package.name} {field} {phrasing} {passages} {relevant}")
        others = passages - 1 if relevant else passages

        def differs(other):
            return answer_of(self.packages[other], field) != answer

        shown = pick_distractors(number, self.near(number), differs, others, (others + 1) // 2, draw, len(self.packages))
        if len(shown) < others:
            return None
        if relevant:
            shown.append((number, "relevant"))
        draw.shuffle(shown)
        return line(question, [answer] if relevant else [REFUSAL], shown, [package.name] if relevant else [], field, phrasing,
                    self.documents)

    def lines(self, fields_each, passages, phrasings, salt, limit=None, relevant=True):
        """Questions about every package: `fields_each` of its fields, wordings drawn from `phrasings`; at most `limit`,
        drawn from all packages alike."""
        order = sorted(range(len(self.packages)), key=lambda number: share(salt, self.packages[number].name))
        made = (self.ask(number, field, self.wording(number, field, phrasings, salt), passages, relevant)
                for number in order for field in self.fields_of(number, salt)[:fields_each])
        return itertools.islice(filter(None, made), limit)

    def fields_of(self, number, salt):
        name = self.packages[number].name
        return sorted(FIELDS, key=lambda field: share(salt, name, field))

    def wording(self, number, field, phrasings, salt):
        return phrasings[int(share(salt, self.packages[number].name, field, "wording") * len(phrasings))]


def word_records(senses):
    """(sense, document, broader word) of the words with one meaning: a question about others has no one answer."""
    meanings = {}
    for sense in senses:
        for word in sense.words:
            meanings.setdefault(word.lower(), []).append(sense)
    by_key = {sense.key: sense for sense in senses}
    found, texts = [], set()
    for sense in senses:
        word = sense.words[0]
        if len(meanings[word.lower()]) != 1 or not re.fullmatch(r"[A-Za-z][A-Za-z' -]{2,}", word) or len(sense.gloss) > 160:
            continue
        kinds = [by_key[key].words[0] for key in sense.kinds if key in by_key]
        text = f"Word: {word}\nPart of speech: {sense.part}\n"
        if kinds:
            text += f"Kind of: {kinds[0]}\n"
        if len(sense.words) > 1:
            text += f"Also called: {', '.join(sense.words[1:])}\n"
        text += f"Meaning: {sense.gloss}\n"
        if text in texts:
            continue
        texts.add(text)
        found.append((sense, {"id": f"wordnet/{sense.key}", "title": word, "text": text}, kinds[0] if kinds else ""))
    return found


def word_answers(sense, broader, field):
    if field == "definition":
        return [sense.gloss]
    if field == "kind":
        return [broader] if broader else []
    return [word for word in sense.words[1:]]


class WordQuestions:
    """Questions about words of one split, over WordNet records of the same split."""

    def __init__(self, records, split):
        self.records, self.split = records, split
        self.documents = [document for _, document, _ in records]
        self.neighbours = Neighbours([document["text"] for document in self.documents], most_common=300)

    def ask(self, number, field, phrasing, passages):
        """One line, or None where the question is not worth asking."""
        sense, document, broader = self.records[number]
        question = WORD_PHRASINGS[field][phrasing].format(n=f'"{sense.words[0]}"')
        asked = set(normal(sense.words[0]).split())
        answers = [answer for answer in word_answers(sense, broader, field)
                   if is_worth_asking(question, answer) and not asked & set(normal(answer).split())]
        if not answers:
            return None

        def differs(other):
            other_sense, _, other_broader = self.records[other]
            return not set(word_answers(other_sense, other_broader, field)) & set(answers)

        draw = random.Random(f"{self.split} {document['id']} {field} {passages}")
        # By its whole record: the word itself is in no other one.
        ranked = [("retrieved", other) for other in self.neighbours.nearest(document["text"], 24)]
        shown = pick_distractors(number, ranked, differs, passages - 1, passages // 2, draw, len(self.records))
        if len(shown) < passages - 1:
            return None
        shown.append((number, "relevant"))
        draw.shuffle(shown)
        return line(question, answers, shown, [document["id"]], field, phrasing, self.documents)

    def lines(self, passages, salt, limit):
        """At most one question a word, `limit` in all."""
        order = sorted(range(len(self.records)), key=lambda number: share(salt, self.documents[number]["id"]))
        return itertools.islice(filter(None, (self.one(number, passages, salt) for number in order)), limit)

    def one(self, number, passages, salt):
        name = self.documents[number]["id"]
        for field in sorted(WORD_PHRASINGS, key=lambda field: share(salt, name, field)):
            phrasing = int(share(salt, name, field, "wording") * len(WORD_PHRASINGS[field]))
            made = self.ask(number, field, phrasing, passages)
            if made:
                return made
        return None


def word_split(sense):
    """The dictionaries' rule, so that a word asked about in the test is in no training text of WordNet."""
    return split_of("headword", sense.words[0].lower())
