"""Who may do what on the local Hub of these tests."""

from hubserver import User

TOKEN = "hf_WriterOfTheOrganization0001"
READ_TOKEN = "hf_ReaderOfTheOrganization0001"
UNKNOWN_TOKEN = "hf_NobodyHasThisToken0001"
USERS = (User("writer", TOKEN, orgs=("acme",)), User("reader", READ_TOKEN, "read", ("acme",)))
