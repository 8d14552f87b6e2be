"""The mixes of the load that came with the originals, by route, in the share of each."""

MIXES: dict[str, dict[str, int]] = {
    "full chain": {
        "GET /api/user/get-my-info": 1,
        "GET /api/videos": 1,
        "GET /api/videos/get-video": 1,
        "POST /api/videos/like-video": 1,
        "POST /api/videos/comment-video": 1,
        "GET /api/videos/get-comments": 1,
        "POST /api/contact/get-friend-list": 1,
        "POST /api/chat/send": 1,
        "GET /api/chat/messages": 1,
    },
    "mixed": {
        "GET /api/videos": 6,
        "GET /api/videos/get-comments": 4,
        "GET /api/user/get-user-info": 3,
        "POST /api/contact/get-friend-list": 2,
        "POST /api/videos/like-video": 2,
        "POST /api/videos/comment-video": 1,
        "POST /api/chat/send": 2,
    },
    "hot key": {
        "GET /api/videos/get-comments": 6,
        "GET /api/videos/get-video-likes": 6,
        "POST /api/videos/like-video": 2,
        "POST /api/videos/comment-video": 1,
    },
    "write-heavy": {
        "POST /api/videos/comment-video": 3,
        "POST /api/videos/like-video": 3,
        "POST /api/chat/send": 3,
        "POST /friend/putIn": 1,
        "GET /api/videos": 2,
    },
}
